import type { AccessMode, IsolationLevel } from '../sql/control-command.ts'
import type { FrameState } from '../outcome.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { type Hooks, registerHook } from '../transaction/register-hook.ts'

/** One level of nesting, as its user sees it. */
export interface TransactionFrame extends Hooks {
  /** Unique in the process. The id of the outermost frame is the id of the transaction. */
  readonly id: number
  /** 1 for the transaction, 2 for a savepoint in it, and so on. */
  readonly depth: number
  /** The layer that opened it. */
  readonly layer: Layer
  readonly kind: 'transaction' | 'savepoint'
  /** The savepoint's name; nothing for a transaction. */
  readonly name: string | undefined
  readonly state: FrameState
  /**
   * Rolls the frame back when its block ends, and keeps the block's value: nothing is thrown.
   *
   * ```ts
   * await shared.transaction(async ({ tx, frame }) => {
   *   frame.rollbackOnExit()
   *   return tx.insert(accounts).values(row).returning()   // tried, and taken back: ROLLBACK
   * })
   * ```
   */
  rollbackOnExit(this: void): void
}

/** Where the code that asks stands. A picture of the moment: it does not change any more. */
export interface TransactionState {
  /** The id of the transaction. */
  readonly id: number
  readonly depth: number
  /** The layer that opened the outermost frame, and will commit it. */
  readonly holder: Layer
  /** As asked for; nothing where the server's default holds. */
  readonly isolationLevel: IsolationLevel | undefined
  readonly accessMode: AccessMode | undefined
  /** The state of the innermost frame. */
  readonly state: FrameState
  /** The open frames, outermost first. */
  readonly frames: readonly {
    readonly layer: Layer
    readonly kind: 'transaction' | 'savepoint'
    readonly name: string | undefined
    readonly state: FrameState
  }[]
}

/** A picture of the stack, seen from a frame. */
export function stateOf(frame: Frame): TransactionState {
  const frames: TransactionState['frames'][number][] = []
  for (let at: Frame | undefined = frame; at !== undefined; at = at.parent) {
    frames.unshift({ layer: at.layer, kind: at.kind, name: at.name, state: at.state })
  }
  return {
    id: frame.root.id,
    depth: frame.depth,
    holder: frame.root.layer,
    isolationLevel: frame.modes.isolationLevel,
    accessMode: frame.modes.accessMode,
    state: frame.state,
    frames,
  }
}

/** The hooks of the frame that `frameFor` names when one is registered. */
export function hooksOn(frameFor: (on: object | undefined) => Frame | undefined): Hooks {
  return {
    afterCommit: (fn, options) =>
      registerHook('after-commit', fn, () => frameFor(options?.on), options),
    afterRollback: (fn, options) =>
      registerHook('after-rollback', fn, () => frameFor(options?.on), options),
    beforeCommit: (fn, options) =>
      registerHook('before-commit', fn, () => frameFor(options?.on), options),
    afterCompletion: (fn, options) =>
      registerHook('after-completion', fn, () => frameFor(options?.on), options),
  }
}

/** A frame for its users. */
export function viewOf(frame: Frame): TransactionFrame {
  return {
    ...hooksOn(() => frame),
    id: frame.id,
    depth: frame.depth,
    layer: frame.layer,
    kind: frame.kind,
    name: frame.name,
    get state() {
      return frame.finalState
    },
    rollbackOnExit() {
      // a savepoint by hand has no block to exit
      let home = frame
      while (!home.scoped && !home.begun && home.parent !== undefined) home = home.parent
      home.rollbackOnly ??= 'requested'
    },
  }
}
