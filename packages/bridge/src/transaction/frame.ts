import type { FrameState, Outcome } from '../outcome.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import type { CallSite } from './call-site.ts'
import { HookList } from './hooks.ts'
import { ENDED, type Phase, type PhaseEvent, TRANSITIONS } from './phase.ts'
import type { ScopeNode } from './scope-node.ts'

/** Who speaks on the connection: a query layer, plain `pg`, or the bridge itself. */
export type Layer = 'drizzle' | 'kysely' | 'pg' | 'shared'

/** What is known of a frame when it opens. */
export interface FrameOptions {
  readonly layer: Layer
  /** Opened by a callback API, which alone may end it. */
  readonly scoped: boolean
  /** Opened by the word `begin`, so that `commit` and `rollback` may end it. */
  readonly begun: boolean
  /** The savepoint's name, as it was asked for; nothing for a transaction. */
  readonly name?: string | undefined
  readonly sqlName?: string | undefined
  readonly modes?: TransactionModes | undefined
  /** The name of the database, for messages. */
  readonly database?: string | undefined
  /** Where the code stands that opens it. */
  readonly around?: Scope | undefined
  /** Where the user's call is. */
  readonly callSite?: CallSite | undefined
  /** Aborted when its block is ended from outside. */
  readonly signal?: AbortSignal | undefined
  /** What it is opened on: nothing is read of it here. */
  readonly session?: object | undefined
}

type Scope = ScopeNode<Frame>

const NO_MODES: TransactionModes = {}

let frames = 0

/** One level of nesting: a transaction, or a savepoint in one. */
export class Frame {
  /** Unique in the process. The id of the outermost frame is the id of the transaction. */
  readonly id: number = ++frames
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
  /** The name that the server knows it by: another one where the bridge had taken the user's. */
  readonly sqlName: string
  /** Where the code stands that opened it: its hooks run there. */
  readonly around: Scope | undefined
  /** Where the user's code began it, for the errors about it. */
  readonly callSite: CallSite
  /** Aborted when its block, or one around it, is ended from outside. */
  readonly signal: AbortSignal | undefined
  /** What it is open on, or was. */
  readonly session: object | undefined

  phase: Phase = 'open'
  /** Its isolation level, access mode and deferrability, as far as they were asked for. */
  modes: TransactionModes
  /** The first statement error in it: until a rollback the server answers nothing else. */
  failure: unknown
  /**
   * Why it must end in a rollback though its block may succeed: its user has `requested` it, or a block
   * that joined it has failed with `cause`.
   */
  rollbackOnly: 'requested' | { readonly cause: unknown } | undefined
  /** The scope of its before-commit hooks, which may still use it while it is ending. */
  beforeCommitScope: Scope | undefined
  /** The running blocks that have joined it, with where they began. It ends after them. */
  joined: Map<Scope, CallSite> | undefined
  /** Blocks that had joined it and were ended from outside: they may send nothing more. */
  evicted: Set<Scope> | undefined
  /** Called once when the transaction has ended, before its hooks run. */
  onEnd: ((outcome: Outcome, error: unknown) => Promise<void> | undefined) | undefined
  /** The hooks that run, or have run, at its end. */
  settling: Promise<unknown> | undefined
  /** The error that its block threw: the one that matters, whatever fails while cleaning up. */
  blockError: { readonly error: unknown } | undefined
  /** How often all its work was rolled back while it stayed open. */
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

  /** Moves it to the phase that follows `event`. */
  transition(event: PhaseEvent): void {
    this.phase = TRANSITIONS[this.phase][event] ?? this.phase
  }

  /** ROLLBACK TO has taken back all its work, its modes included. It stays open. */
  restart(): void {
    this.transition('reopen')
    this.failure = undefined
    this.rollbackCount++
    this.modes = this.parent?.modes ?? NO_MODES
  }

  /** Its state, as users see it. */
  get state(): FrameState {
    if (this.phase === 'open') return this.failure === undefined ? 'open' : 'aborted'
    return this.phase === 'committing' ? 'ending' : this.phase
  }

  get kind(): 'transaction' | 'savepoint' {
    return this.parent === undefined ? 'transaction' : 'savepoint'
  }

  /** The transaction's own frame. */
  get root(): Frame {
    let frame: Frame = this
    while (frame.parent !== undefined) frame = frame.parent
    return frame
  }

  /** Its state for good: a released savepoint shares what becomes of the frame around it. */
  get finalState(): FrameState {
    const { parent, state } = this
    if (state !== 'released' || parent === undefined) return state
    const { finalState } = parent
    return parent.ended && finalState !== 'committed' ? finalState : 'released'
  }

  /** Whether it has ended, however it ended. */
  get ended(): boolean {
    return ENDED[this.phase]
  }

  /** A block works in it from now on. */
  join(participant: Scope, callSite: CallSite): void {
    this.joined ??= new Map()
    this.joined.set(participant, callSite)
  }

  /** A block that had joined it is over. */
  leave(participant: Scope): void {
    this.joined?.delete(participant)
  }

  /** A block that had joined it is ended from outside. */
  evict(participant: Scope): void {
    this.leave(participant)
    this.evicted ??= new Set()
    this.evicted.add(participant)
  }

  /** Lets it end in a rollback, since a block that joined it has failed. The first cause counts. */
  markRollbackOnly(cause: unknown): void {
    if (this.rollbackOnly === undefined || this.rollbackOnly === 'requested') {
      this.rollbackOnly = { cause }
    }
  }

  /** Records the error that leaves it aborted. The first one counts. */
  abort(error: unknown): void {
    if (!this.ended) this.failure ??= error
  }

  /** Whether it is the frame given, or one opened inside it. */
  isInside(other: Frame): boolean {
    let frame: Frame | undefined = this
    while (frame !== undefined && frame.depth > other.depth) frame = frame.parent
    return frame === other
  }
}

/** The modes of a frame: its own, and those around it where it has none. */
function withModes(around: TransactionModes, own: TransactionModes = NO_MODES): TransactionModes {
  const asked = Object.entries(own).filter(([, mode]) => mode !== undefined)
  return asked.length === 0 ? around : { ...around, ...Object.fromEntries(asked) }
}
