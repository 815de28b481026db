import type { AccessMode, IsolationLevel } from '../sql/control-command.ts'
import type { FrameState } from '../outcome.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { type Hooks, registerHook } from '../transaction/register-hook.ts'

/** One level of nesting: a transaction, or a savepoint in one. Its hooks belong to this frame. */
export interface TransactionFrame extends Hooks {
  /** Unique in the process. The id of the outermost frame is the id of the transaction. */
  readonly id: number
  /** 1 for the transaction, 2 for a savepoint in it, and so on. */
  readonly depth: number
  /** The layer that opened it. */
  readonly layer: Layer
  /** Whether the frame is the transaction or a savepoint. */
  readonly kind: 'transaction' | 'savepoint'
  /** The savepoint's name; `undefined` for a transaction. */
  readonly name: string | undefined
  /** The current state. */
  readonly state: FrameState
  /**
   * Makes the frame end in a rollback when its block ends. The call still resolves with the value of
   * the block. Sends nothing by itself.
   *
   * ```ts
   * await shared.transaction(async ({ tx, frame }) => {
   *   frame.rollbackOnExit()
   *   return tx.insert(accounts).values(row).returning()   // inserted, then ROLLBACK
   * })
   * ```
   */
  rollbackOnExit(this: void): void
}

/** A snapshot of the transaction around the calling code. */
export interface TransactionState {
  /** The id of the transaction, unique in the process. */
  readonly id: number
  /** The depth of the innermost frame: 1 in the transaction, 2 in a savepoint, and so on. */
  readonly depth: number
  /** The layer that opened the outermost frame, and will commit it. */
  readonly holder: Layer
  /** The requested isolation level; `undefined` if the server's default applies. */
  readonly isolationLevel: IsolationLevel | undefined
  /** The requested access mode; `undefined` if the server's default applies. */
  readonly accessMode: AccessMode | undefined
  /** The state of the innermost frame. */
  readonly state: FrameState
  /** The open frames, outermost first. */
  readonly frames: readonly {
    /** The layer that opened the frame. */
    readonly layer: Layer
    /** Whether the frame is the transaction or a savepoint. */
    readonly kind: 'transaction' | 'savepoint'
    /** The savepoint's name; `undefined` for a transaction. */
    readonly name: string | undefined
    /** The state of the frame. */
    readonly state: FrameState
  }[]
}

/** Takes a snapshot of the frames from the outermost to `frame`. */
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

/** Makes the hook methods. `frameFor` finds the frame each time that a hook is registered. */
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

/** Makes the public object of a frame. */
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
      // A manual savepoint has no block to exit.
      let home = frame
      while (!home.scoped && !home.begun && home.parent !== undefined) home = home.parent
      home.rollbackOnly ??= 'requested'
    },
  }
}
