import { counter } from '../core.ts'
import type { FrameState, Outcome } from '../outcome.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import type { CallSite } from './call-site.ts'
import { HookList } from './hooks.ts'
import { ENDED, type Phase, type PhaseEvent, TRANSITIONS } from './phase.ts'
import type { ScopeNode } from './scope-node.ts'

/** The source of a statement or a transaction: a query layer, plain `pg`, or the bridge (`shared`). */
export type Layer = 'drizzle' | 'kysely' | 'pg' | 'shared'

/** The facts that are known when a frame opens. */
export interface FrameOptions {
  readonly layer: Layer
  /** True if a callback API opened it. Only that API may end it. */
  readonly scoped: boolean
  /** True if a BEGIN statement opened it, so COMMIT and ROLLBACK statements may end it. */
  readonly begun: boolean
  /** The savepoint's name as requested; undefined for a transaction. */
  readonly name?: string | undefined
  /** The savepoint's name on the server, if it differs from `name`. */
  readonly sqlName?: string | undefined
  readonly modes?: TransactionModes | undefined
  /** The name of the database, for messages. */
  readonly database?: string | undefined
  /** The scope of the code that opens it. */
  readonly around?: Scope | undefined
  /** The user's call, for errors about the frame. */
  readonly callSite?: CallSite | undefined
  /** Aborted when its block is ended from outside. */
  readonly signal?: AbortSignal | undefined
  /** The session that it is opened on. The core only passes it on. */
  readonly session?: object | undefined
}

type Scope = ScopeNode<Frame>

const NO_MODES: TransactionModes = {}

const frames = counter('frames')

/** One level of nesting: a transaction, or a savepoint in one. */
export class Frame {
  /** Unique in the process. The id of the outermost frame is the id of the transaction. */
  readonly id: number = ++frames.last
  /** 1 for the transaction, 2 for a savepoint in it, and so on. */
  readonly depth: number
  readonly parent: Frame | undefined
  /** The name of the database, for messages. */
  readonly database: string | undefined
  readonly layer: Layer
  readonly scoped: boolean
  readonly begun: boolean
  readonly name: string | undefined
  readonly hooks = new HookList<Scope>()
  /** The savepoint's name on the server. It differs from `name` if the bridge already uses that name. */
  readonly sqlName: string
  /** The scope of the code that opened it. Its hooks run there. */
  readonly around: Scope | undefined
  /** The user's call that opened it, for errors about the frame. */
  readonly callSite: CallSite
  /** Aborted when its block, or one around it, is ended from outside. */
  readonly signal: AbortSignal | undefined
  /** The session that it is, or was, open on. */
  readonly session: object | undefined

  phase: Phase = 'open'
  /** The modes that were requested for it or inherited from its parent. */
  modes: TransactionModes
  /** The first statement error in it. The server refuses everything but a rollback from then on. */
  failure: unknown
  /**
   * Set if it must end in a rollback even if its block succeeds: the user has requested that, or a
   * block that joined it has failed with `cause`.
   */
  rollbackOnly: 'requested' | { readonly cause: unknown } | undefined
  /** The scope of its before-commit hooks, which may still use it while it is ending. */
  beforeCommitScope: Scope | undefined
  /** The running blocks that have joined it, with their call sites. It cannot end before they do. */
  joined: Map<Scope, CallSite> | undefined
  /** Joined blocks that were ended from outside. They may not send anything any more. */
  evicted: Set<Scope> | undefined
  /** Called once when the transaction has ended, before its hooks run. */
  onEnd: ((outcome: Outcome, error: unknown) => Promise<void> | undefined) | undefined
  /** Settles when the hooks at its end have run. */
  settling: Promise<unknown> | undefined
  /** The error that its block threw. It takes precedence over failures of the cleanup. */
  blockError: { readonly error: unknown } | undefined
  /** The number of times that ROLLBACK TO has undone its work. */
  rollbackCount = 0

  constructor(parent: Frame | undefined, options: FrameOptions) {
    this.parent = parent
    this.depth = parent === undefined ? 1 : parent.depth + 1
    this.database = options.database ?? parent?.database
    this.layer = options.layer
    this.scoped = options.scoped
    this.begun = options.begun
    this.name = options.name
    this.sqlName = options.sqlName ?? options.name ?? ''
    this.around = options.around
    this.callSite = options.callSite ?? {}
    this.signal = options.signal ?? parent?.signal
    this.session = options.session ?? parent?.session
    this.modes = withModes(parent?.modes ?? NO_MODES, options.modes)
  }

  /** Moves the frame to the phase that follows `event`. */
  transition(event: PhaseEvent): void {
    this.phase = TRANSITIONS[this.phase][event] ?? this.phase
  }

  /** Handles ROLLBACK TO: its work and its modes are undone, and it stays open. */
  restart(): void {
    this.transition('reopen')
    this.failure = undefined
    this.rollbackCount++
    this.modes = this.parent?.modes ?? NO_MODES
  }

  /** The state that is shown to users. */
  get state(): FrameState {
    if (this.phase === 'open') return this.failure === undefined ? 'open' : 'aborted'
    return this.phase === 'committing' ? 'ending' : this.phase
  }

  get kind(): 'transaction' | 'savepoint' {
    return this.parent === undefined ? 'transaction' : 'savepoint'
  }

  /** The outermost frame: the transaction itself. */
  get root(): Frame {
    let frame: Frame = this
    while (frame.parent !== undefined) frame = frame.parent
    return frame
  }

  /** Its final state. A released savepoint takes the state of its parent if that does not commit. */
  get finalState(): FrameState {
    const { parent, state } = this
    if (state !== 'released' || parent === undefined) return state
    const { finalState } = parent
    return parent.ended && finalState !== 'committed' ? finalState : 'released'
  }

  /** Whether it has ended, with whatever outcome. */
  get ended(): boolean {
    return ENDED[this.phase]
  }

  /** Adds a block that works in this frame. */
  join(participant: Scope, callSite: CallSite): void {
    this.joined ??= new Map()
    this.joined.set(participant, callSite)
  }

  /** Removes a joined block that has ended. */
  leave(participant: Scope): void {
    this.joined?.delete(participant)
  }

  /** Removes a joined block that was ended from outside, and bars it from sending. */
  evict(participant: Scope): void {
    this.leave(participant)
    this.evicted ??= new Set()
    this.evicted.add(participant)
  }

  /** Makes the frame end in a rollback, since a block that joined it has failed. The first cause wins. */
  markRollbackOnly(cause: unknown): void {
    if (this.rollbackOnly === undefined || this.rollbackOnly === 'requested') {
      this.rollbackOnly = { cause }
    }
  }

  /** Records the error that has aborted the frame. The first error wins. */
  abort(error: unknown): void {
    if (!this.ended) this.failure ??= error
  }

  /** Whether this frame is `other` or was opened inside it. */
  isInside(other: Frame): boolean {
    let frame: Frame | undefined = this
    while (frame !== undefined && frame.depth > other.depth) frame = frame.parent
    return frame === other
  }
}

/** Merges the frame's own modes with those that it inherits. */
function withModes(around: TransactionModes, own: TransactionModes = NO_MODES): TransactionModes {
  const asked = Object.entries(own).filter(([, mode]) => mode !== undefined)
  return asked.length === 0 ? around : { ...around, ...Object.fromEntries(asked) }
}
