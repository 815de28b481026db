/** The ways to send a statement: a layer's global object, plain `pg`, or a handle of a block around. */
export const WAYS = ['drizzle', 'kysely', 'pool', 'client', 'connection', 'tx', 'trx'] as const
export type Way = (typeof WAYS)[number]

/** The ways to send a command by hand. */
export const HANDS = ['drizzle', 'kysely', 'pool', 'client'] as const
export type Hand = (typeof HANDS)[number]

/** Who opens a block: a layer's root call, a handle, or the bridge with a propagation. */
export const OPENERS = [
  'drizzle',
  'kysely',
  'tx',
  'trx',
  'nested',
  'required',
  'requires-new',
  'mandatory',
  'supports',
  'not-supported',
  'never',
  'outside',
] as const
export type Opener = (typeof OPENERS)[number]

export const MOMENTS = ['beforeCommit', 'afterCommit', 'afterRollback', 'afterCompletion'] as const
export type Moment = (typeof MOMENTS)[number]

interface Base {
  /** Unique in the program. A note's text is made of it. */
  readonly id: number
  /** Whether the program swallows what this step throws. */
  readonly caught: boolean
}

/** How a step finds its handle: so many blocks up, in a circle. */
interface OnHandle {
  readonly up: number
}

interface Note extends Base, OnHandle {
  readonly kind: 'note'
  readonly via: Way
}

/** A statement that the server answers with an error. */
interface Failure extends Base, OnHandle {
  readonly kind: 'failure'
  readonly via: Way
}

export interface Block extends Base, OnHandle {
  readonly kind: 'block'
  readonly opener: Opener
  readonly body: readonly Step[]
}

interface Throw extends Base {
  readonly kind: 'throw'
  /** `Rollback`: the bridge's own signal, which asks for a rollback that is no failure. */
  readonly what: 'Error' | 'Rollback'
}

export interface Parallel extends Base {
  readonly kind: 'parallel'
  readonly how: 'all' | 'allSettled'
  readonly branches: readonly (readonly Step[])[]
}

/** A branch that is started, and that nobody awaits. */
interface Unawaited extends Base {
  readonly kind: 'unawaited'
  readonly body: readonly Step[]
}

export interface Hook extends Base, OnHandle {
  readonly kind: 'hook'
  readonly moment: Moment
  readonly through: 'shared' | 'kysely' | 'handle'
  readonly scope: 'savepoint' | 'transaction'
  readonly throws: boolean
}

/** A savepoint by hand, around some steps. */
export interface Savepoint extends Base {
  readonly kind: 'savepoint'
  readonly via: Hand
  readonly body: readonly Step[]
  /** `recover`: rolled back only if the body throws, which is then forgotten. `leave`: left open. */
  readonly end: 'release' | 'rollback' | 'recover' | 'leave'
}

interface RollbackOnExit extends Base, OnHandle {
  readonly kind: 'rollbackOnExit'
}

/** What ends a transaction, sent by hand into a block of a callback API. */
export interface ByHand extends Base {
  readonly kind: 'byHand'
  readonly via: Hand
  readonly text: 'rollback' | 'commit'
}

/** Lets others go on. */
interface Pause extends Base {
  readonly kind: 'pause'
}

export type Step =
  | Note
  | Failure
  | Block
  | Throw
  | Parallel
  | Unawaited
  | Hook
  | Savepoint
  | RollbackOnExit
  | ByHand
  | Pause

/** A step before it has its number. */
export type Unnumbered = Omit<Step, 'id'>

/** The steps that a step holds, one list for each way through it. */
export function insideOf(step: Step): readonly (readonly Step[])[] {
  if (step.kind === 'parallel') return step.branches
  return 'body' in step ? [step.body] : []
}

/** Numbers the steps in the order of the text. */
export function numbered(steps: readonly Step[], from: { id: number } = { id: 1 }): Step[] {
  return steps.map((step) => {
    const id = from.id++
    if (step.kind === 'parallel') {
      return { ...step, id, branches: step.branches.map((branch) => numbered(branch, from)) }
    }
    return 'body' in step ? { ...step, id, body: numbered(step.body, from) } : { ...step, id }
  })
}

/** What an opener does, where a transaction is open or not. */
export type Opening = 'transaction' | 'savepoint' | 'join' | 'nothing' | 'refused'

/** What the README's tables say of each opener, inside a transaction and outside one. */
const OPENINGS: {
  readonly [O in Opener]: { readonly inside: Opening | 'nesting'; readonly outside: Opening }
} = {
  drizzle: { inside: 'nesting', outside: 'transaction' },
  kysely: { inside: 'nesting', outside: 'transaction' },
  tx: { inside: 'savepoint', outside: 'transaction' },
  trx: { inside: 'savepoint', outside: 'transaction' },
  nested: { inside: 'savepoint', outside: 'transaction' },
  required: { inside: 'join', outside: 'transaction' },
  'requires-new': { inside: 'transaction', outside: 'transaction' },
  mandatory: { inside: 'join', outside: 'refused' },
  supports: { inside: 'join', outside: 'nothing' },
  'not-supported': { inside: 'nothing', outside: 'nothing' },
  never: { inside: 'refused', outside: 'nothing' },
  outside: { inside: 'nothing', outside: 'nothing' },
}

/** What an opener does in its place. */
export function openingOf(
  opener: Opener,
  isInside: boolean,
  nesting: 'savepoint' | 'join',
): Opening {
  const { inside, outside } = OPENINGS[opener]
  if (!isInside) return outside
  return inside === 'nesting' ? nesting : inside
}
