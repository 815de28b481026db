import * as fc from 'fast-check'
import { codeOf } from './code.ts'
import {
  HANDS,
  MOMENTS,
  numbered,
  OPENERS,
  type Opener,
  type Step,
  type Unnumbered,
  WAYS,
} from './program.ts'
import { JOINING, Shrinking } from './shrinking.ts'

/** The place of steps, as far as it decides which steps are possible. */
interface Spot {
  /** The number of further levels. */
  readonly depth: number
  /** Whether a transaction may be open. */
  readonly isInside: boolean
  /**
   * Whether parallel branches may work in the frame. If so, manual savepoints are excluded, since they
   * would contain the work of other branches.
   */
  readonly isBranching: boolean
}

const DEPTH = 5

const up = fc.nat({ max: 3 })
const caught = fc.boolean()
/** The arbitraries of each place are made once. */
const known = new Map<string, fc.Arbitrary<Step>>()

const via = fc.constantFrom(...WAYS)
const byHand = fc.constantFrom(...HANDS)

function programsIn(isBranching: boolean): fc.Arbitrary<readonly Step[]> {
  return bodies({ depth: DEPTH, isInside: false, isBranching })
}

function bodies(spot: Spot): fc.Arbitrary<readonly Step[]> {
  const longest = spot.depth === 0 ? 2 : 4
  const shortest = spot.depth === 0 ? 0 : 1
  return fc.array(stepAt(spot), { minLength: shortest, maxLength: longest, size: 'max' })
}

function stepAt(spot: Spot): fc.Arbitrary<Step> {
  const key = JSON.stringify(spot)
  const made = known.get(key) ?? make(spot)
  known.set(key, made)
  return made
}

function make(spot: Spot): fc.Arbitrary<Step> {
  const { depth, isBranching, isInside } = spot
  const choices = [weighed(10, note), weighed(2, failure), weighed(3, hook)]
  if (isBranching) choices.push(weighed(1, pause))
  // At the top they would end the program, and outside a transaction there is nothing to end.
  if (isInside) choices.push(weighed(1, throwing), weighed(1, ending))
  if (isInside && !isBranching) choices.push(weighed(1, rollbackOnExit))
  if (depth > 0) {
    choices.push(weighed(isInside ? 9 : 30, blockIn(spot)))
    if (isBranching) choices.push(weighed(3, parallelIn(spot)), weighed(3, unawaitedIn(spot)))
    else if (isInside) choices.push(weighed(4, savepointIn(spot)))
  }
  // Steps are numbered when the program is complete.
  return fc
    .oneof(...choices)
    .map((step) => ({ ...step, id: 0, caught: step.caught || isSwallowedAt(spot, step) }) as Step)
}

/** At the top an error would end the program, so that hardly any of it would run. */
function isSwallowedAt({ isInside }: Spot, { kind }: Unnumbered): boolean {
  return !isInside && kind !== 'parallel'
}

function weighed<T extends Unnumbered>(
  weight: number,
  arbitrary: fc.Arbitrary<T>,
): { weight: number; arbitrary: fc.Arbitrary<Unnumbered> } {
  return { weight, arbitrary }
}

const step = <K extends Step['kind']>(kind: K) => fc.constant(kind)

const note = fc.record({ kind: step('note'), caught, up, via })
const failure = fc.record({
  kind: step('failure'),
  // An uncaught error ends most of a program.
  caught: fc.oneof(
    { weight: 3, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
  up,
  via,
})
const throwing = fc.record({
  kind: step('throw'),
  caught: fc.constant(false),
  what: fc.constantFrom('Error', 'Rollback'),
})
const pause = fc.record({ kind: step('pause'), caught: fc.constant(false) })
const rollbackOnExit = fc.record({
  kind: step('rollbackOnExit'),
  caught: fc.constant(false),
  up,
})
const ending = fc.record({
  kind: step('byHand'),
  caught,
  via: byHand,
  text: fc.oneof(
    { weight: 2, arbitrary: fc.constant('commit') },
    { weight: 1, arbitrary: fc.constant('rollback') },
  ),
})
const hook = fc.record({
  kind: step('hook'),
  caught,
  up,
  moment: fc.constantFrom(...MOMENTS),
  through: fc.constantFrom('shared', 'kysely', 'handle'),
  scope: fc.constantFrom('savepoint', 'transaction'),
  throws: fc.oneof(
    { weight: 5, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
})

/** Openers that begin a transaction if none is open. */
const BEGINNING: readonly Opener[] = ['tx', 'trx', 'nested', 'requires-new']

function blockIn({ depth, isBranching, isInside }: Spot): fc.Arbitrary<Unnumbered> {
  const blocks = (openers: readonly Opener[], style: boolean) =>
    fc.record({
      kind: step('block'),
      caught,
      up,
      opener: fc.oneof(...openers.map(weighedOpener)),
      body: bodies({ depth: depth - 1, isInside: true, isBranching: style }),
    })
  const others = OPENERS.filter((opener) => !JOINING.includes(opener))
  if (!isInside) {
    return fc.oneof(
      { weight: 6, arbitrary: blocks(JOINING, isBranching) },
      { weight: 4, arbitrary: blocks(BEGINNING, false) },
      { weight: 4, arbitrary: blocks(BEGINNING, true) },
      { weight: 1, arbitrary: blocks(others, isBranching) },
    )
  }
  return fc.oneof(
    { weight: 6, arbitrary: blocks(JOINING, isBranching) },
    { weight: 5, arbitrary: blocks(others, false) },
    { weight: 5, arbitrary: blocks(others, true) },
  )
}

function weighedOpener(opener: Opener): { weight: number; arbitrary: fc.Arbitrary<Opener> } {
  const isRare = opener === 'never' || opener === 'mandatory' || opener === 'outside'
  return { weight: isRare ? 1 : 3, arbitrary: fc.constant(opener) }
}

function parallelIn(spot: Spot): fc.Arbitrary<Unnumbered> {
  const branch = bodies({ ...spot, depth: spot.depth - 1 })
  return fc.record({
    kind: step('parallel'),
    caught,
    how: fc.constantFrom('all', 'allSettled'),
    branches: fc.array(branch, { minLength: 2, maxLength: 3 }),
  })
}

function unawaitedIn(spot: Spot): fc.Arbitrary<Unnumbered> {
  return fc.record({
    kind: step('unawaited'),
    caught: fc.constant(false),
    body: bodies({ ...spot, depth: spot.depth - 1 }),
  })
}

function savepointIn(spot: Spot): fc.Arbitrary<Unnumbered> {
  return fc.record({
    kind: step('savepoint'),
    caught,
    via: byHand,
    body: bodies({ ...spot, depth: spot.depth - 1 }),
    end: fc.constantFrom('release', 'rollback', 'recover', 'leave'),
  })
}

/** Programs. One that fails is printed as code. */
export const programs: fc.Arbitrary<readonly Step[]> = new Shrinking(
  fc.oneof(programsIn(false), programsIn(true)).map((steps) => numbered(steps)),
  (program) => Object.assign([...program], { [fc.toStringMethod]: () => `\n${codeOf(program)}\n` }),
)
