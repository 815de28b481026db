import { Frame, type FrameOptions } from './frame.ts'
import type { EndPhase } from './phase.ts'

/**
 * The open frames of one physical connection, outermost first.
 *
 * It sends nothing and awaits nothing. The server also stacks its savepoints, so ending a frame ends
 * every frame inside it.
 */
export class TransactionStack {
  readonly #frames: Frame[] = []

  /** The open frames, outermost first. */
  get frames(): readonly Frame[] {
    return this.#frames
  }

  get root(): Frame | undefined {
    return this.#frames[0]
  }

  get top(): Frame | undefined {
    return this.#frames.at(-1)
  }

  /** Opens a frame inside the innermost one. */
  push(options: FrameOptions): Frame {
    const frame = new Frame(this.top, options)
    this.#frames.push(frame)
    return frame
  }

  /**
   * Whether a statement of `frame` may be sent now, since no block of a callback API is open inside it.
   * Manual savepoints do not block their parent: its statements run in them.
   */
  isFree(frame: Frame): boolean {
    if (this.#frames[frame.depth - 1] !== frame) return false
    for (let depth = frame.depth; depth < this.#frames.length; depth++) {
      if (this.#frames[depth]?.scoped) return false
    }
    return true
  }

  /** The frame in which a statement of `frame` runs: the innermost manual savepoint in it, or itself. */
  innermostOf(frame: Frame): Frame {
    let innermost = frame
    for (let depth = frame.depth; depth < this.#frames.length; depth++) {
      const inner = this.#frames[depth]
      if (inner === undefined || inner.scoped) break
      innermost = inner
    }
    return innermost
  }

  /** Finds the innermost open savepoint of that name, as the server does. */
  find(name: string): Frame | undefined {
    return this.#frames.findLast((frame) => frame.name === name)
  }

  /** Whether the bridge has named an open savepoint so. */
  isTaken(name: string): boolean {
    return this.#frames.some((frame) => frame.scoped && frame.sqlName === name)
  }

  /** Makes a name from `wanted` that no open savepoint has, since a duplicate would hide the first. */
  freeName(wanted: string): string {
    let name = wanted
    const isUsed = (frame: Frame): boolean => frame.sqlName === name
    for (let n = 2; this.#frames.some(isUsed); n++) name = `${wanted}_${n}`
    return name
  }

  /**
   * Ends `frame` and every frame inside it, innermost first. Hooks of inner frames move to `frame`,
   * whose outcome decides which of them run.
   */
  end(frame: Frame, phase: EndPhase): Frame[] {
    if (this.#frames[frame.depth - 1] !== frame) return []
    const ended = this.#frames.splice(frame.depth - 1).toReversed()
    for (const inner of ended) {
      inner.transition(phase)
      if (inner !== frame) inner.hooks.moveTo((inner.parent ?? frame).hooks)
    }
    return ended
  }

  /** Releases manual savepoints that were left open in `frame`. Their failure and hooks move to it. */
  finishInside(frame: Frame): void {
    if (this.top === frame) return
    for (const inner of this.#frames.slice(frame.depth)) frame.failure ??= inner.failure
    this.endInside(frame, 'released')
  }

  /** Ends every frame inside `frame`, which stays open. */
  endInside(frame: Frame, phase: EndPhase): Frame[] {
    const child = this.#frames[frame.depth]
    if (child === undefined || this.#frames[frame.depth - 1] !== frame) return []
    const ended = this.end(child, phase)
    child.hooks.moveTo(frame.hooks)
    return ended
  }
}
