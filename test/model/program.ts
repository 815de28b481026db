/** The ways to send a statement: a layer's global object, plain `pg`, or a handle of an outer block. */
export const WAYS = ['drizzle', 'kysely', 'pool', 'client', 'connection', 'tx', 'trx'] as const
export type Way = (typeof WAYS)[number]

/** The ways to send a manual command. */
export const HANDS = ['drizzle', 'kysely', 'pool', 'client'] as const
export type Hand = (typeof HANDS)[number]

/** The openers of blocks: a layer's root call, a handle, or the bridge with a propagation. */
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
  /** Unique in the program. The text of a note contains it. */
  readonly id: number
  /** Whether the program swallows the error of this step. */
  readonly caught: boolean
}

/** The handle of a step: so many blocks up, modulo their number. */
interface OnHandle {
  readonly up: number
}

interface Note extends Base, OnHandle {
  readonly kind: 'note'
  readonly via: Way
}

/** A statement that fails. */
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
  /** `Rollback` requests a rollback that is no failure. */
  readonly what: 'Error' | 'Rollback'
}

export interface Parallel extends Base {
  readonly kind: 'parallel'
  readonly how: 'all' | 'allSettled'
  readonly branches: readonly (readonly Step[])[]
}

/** A branch that is not awaited. */
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

/** A manual savepoint around some steps. */
export interface Savepoint extends Base {
  readonly kind: 'savepoint'
  readonly via: Hand
  readonly body: readonly Step[]
  /** `recover`: rolled back only if the body throws, whose error is swallowed. `leave`: left open. */
  readonly end: 'release' | 'rollback' | 'recover' | 'leave'
}

interface RollbackOnExit extends Base, OnHandle {
  readonly kind: 'rollbackOnExit'
}

/** A manual command that ends a transaction, sent inside a block of a callback API. */
export interface ByHand extends Base {
  readonly kind: 'byHand'
  readonly via: Hand
  readonly text: 'rollback' | 'commit'
}

/** Lets other branches go on. */
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

/** A step without its number. */
export type Unnumbered = Omit<Step, 'id'>

/** The steps inside a step, as one list for each branch. */
export function insideOf(step: Step): readonly (readonly Step[])[] {
  if (step.kind === 'parallel') return step.branches
  return 'body' in step ? [step.body] : []
}

/** Numbers the steps in the order of the program. */
export function numbered(steps: readonly Step[], from: { id: number } = { id: 1 }): Step[] {
  return steps.map((step) => {
    const id = from.id++
    if (step.kind === 'parallel') {
      return { ...step, id, branches: step.branches.map((branch) => numbered(branch, from)) }
    }
    return 'body' in step ? { ...step, id, body: numbered(step.body, from) } : { ...step, id }
  })
}

/** The effect of an opener inside and outside a transaction. */
export type Opening = 'transaction' | 'savepoint' | 'join' | 'nothing' | 'refused'

/** The effects of the openers, according to the tables of the README. */
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

/** The effect of an opener in its place. */
export function openingOf(
  opener: Opener,
  isInside: boolean,
  nesting: 'savepoint' | 'join',
): Opening {
  const { inside, outside } = OPENINGS[opener]
  if (!isInside) return outside
  return inside === 'nesting' ? nesting : inside
}
