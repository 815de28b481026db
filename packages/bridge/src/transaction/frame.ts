import type { AccessMode, IsolationLevel, TransactionModes } from '../sql/control-command.ts'
import { HookList } from './hooks.ts'
import type { CallSite } from './call-site.ts'
import type { Outcome } from '../outcome.ts'
import type { Scope } from './scope.ts'

/** Who speaks on the connection: a query layer, plain `pg`, or the bridge itself. */
export type Layer = 'drizzle' | 'kysely' | 'pg' | 'shared'

/** Where a frame stands. Only `open`, `ending` and `aborted` frames are on the stack. */
export type FrameState =
  | 'open'
  | 'ending'
  | 'committed'
  | 'released'
  | 'rolled-back'
  | 'aborted'
  | 'lost'
  | 'unknown'

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

const NOBODY: ReadonlyMap<Scope, CallSite> = new Map()

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
  readonly hooks = new HookList()
  /** The name that the server knows it by: another one where the bridge had taken the user's. */
  readonly sqlName: string | undefined
  /** Where the code stands that opened it: its hooks run there. */
  readonly around: Scope | undefined
  /** Where the user's code began it, for the errors about it. */
  readonly callSite: CallSite
  /** Aborted when its block, or one around it, is ended from outside. */
  readonly signal: AbortSignal | undefined
  /** What it is open on, or was. */
  readonly session: object | undefined

  state: FrameState = 'open'
  isolationLevel: IsolationLevel | undefined
  accessMode: AccessMode | undefined
  deferrable: boolean | undefined
  /** The first statement error in it: the server answers nothing but a rollback until then. */
  failure: unknown
  /** Why it must end in a rollback, though its block may succeed: a block that joined it failed. */
  rollbackOnly: { readonly cause: unknown } | undefined
  /** Code that may still use it while it is ending: its before-commit hooks. */
  beforeCommitScope: Scope | undefined
  #participants: Map<Scope, CallSite> | undefined
  #evicted: Set<Scope> | undefined
  /** What is to be done when the transaction has ended, before its hooks run. */
  onEnd: ((outcome: Outcome, error: unknown) => Promise<void> | undefined) | undefined
  /** The hooks that run, or have run, at its end. */
  settling: Promise<unknown> | undefined
  /** It is to open at once, and waits to be sent. */
  isUnsent = false
  /** COMMIT, or RELEASE, is on its way: nothing can take it back. */
  isKeeping = false
  /** What its block threw: the error that matters, whatever fails while cleaning up. */
  blockError: { readonly error: unknown } | undefined
  /** How often all that was done in it was taken back, while it stayed open. */
  rollbackCount = 0
  /** Asked by the user to roll back and keep its value. */
  rollsBackOnExit = false

  constructor(parent: Frame | undefined, options: FrameOptions) {
    this.parent = parent
    this.depth = parent === undefined ? 1 : parent.depth + 1
    this.database = options.database ?? parent?.database
    this.layer = options.layer
    this.scoped = options.scoped
    this.begun = options.begun
    this.name = options.name
    this.sqlName = options.sqlName ?? options.name
    this.around = options.around
    this.callSite = options.callSite ?? {}
    this.signal = options.signal ?? parent?.signal
    this.session = options.session ?? parent?.session
    this.isolationLevel = options.modes?.isolationLevel ?? parent?.isolationLevel
    this.accessMode = options.modes?.accessMode ?? parent?.accessMode
    this.deferrable = options.modes?.deferrable ?? parent?.deferrable
  }

  /** The modes of a savepoint end with what was done in it, also where it stays open. */
  resetModes(): void {
    this.isolationLevel = this.parent?.isolationLevel
    this.accessMode = this.parent?.accessMode
    this.deferrable = this.parent?.deferrable
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

  /** How it ended for good: what was released shares the fate of the frame around it. */
  get finalState(): FrameState {
    const { parent, state } = this
    if (state !== 'released' || parent === undefined) return state
    const { finalState } = parent
    return parent.ended && finalState !== 'committed' ? finalState : 'released'
  }

  /** Whether it has ended, however it ended. */
  get ended(): boolean {
    return this.state !== 'open' && this.state !== 'ending' && this.state !== 'aborted'
  }

  /** Whether it was marked for a rollback, however its block ends. */
  get isRollbackOnly(): boolean {
    return this.rollbackOnly !== undefined || this.rollsBackOnExit
  }

  /** The blocks that have joined it and still run, with where they began: it ends when they have. */
  get participants(): ReadonlyMap<Scope, CallSite> {
    return this.#participants ?? NOBODY
  }

  /** Blocks that had joined it and were ended from outside: they send nothing more. */
  get evicted(): ReadonlySet<Scope> | undefined {
    return this.#evicted
  }

  /** A block has joined it. */
  join(participant: Scope, callSite: CallSite): void {
    this.#participants ??= new Map()
    this.#participants.set(participant, callSite)
  }

  /** A block that had joined it is over. */
  leave(participant: Scope): void {
    this.#participants?.delete(participant)
  }

  /** A block that had joined it is ended from outside. */
  evict(participant: Scope): void {
    this.leave(participant)
    this.#evicted ??= new Set()
    this.#evicted.add(participant)
  }

  /** Notes the error that leaves it aborted. The first one is the one that matters. */
  abort(error: unknown): void {
    if (this.ended) return
    this.failure ??= error
    if (this.state === 'open') this.state = 'aborted'
  }

  /** Whether it is the frame given, or one opened inside it. */
  isInside(other: Frame): boolean {
    let frame: Frame | undefined = this
    while (frame !== undefined && frame.depth > other.depth) frame = frame.parent
    return frame === other
  }
}
