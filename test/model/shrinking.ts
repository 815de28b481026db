import * as fc from 'fast-check'
import { insideOf, type Opener, type Step } from './program.ts'

/** Openers whose block may join the frame around it. */
export const JOINING: readonly Opener[] = ['drizzle', 'kysely', 'required', 'mandatory', 'supports']

/**
 * Shrinks a failing program: removes steps, replaces a step with the steps inside it, and simplifies
 * options.
 */
export class Shrinking extends fc.Arbitrary<readonly Step[]> {
  readonly #programs: fc.Arbitrary<readonly Step[]>
  readonly #show: (program: readonly Step[]) => readonly Step[]

  constructor(
    programs: fc.Arbitrary<readonly Step[]>,
    show: (program: readonly Step[]) => readonly Step[],
  ) {
    super()
    this.#programs = programs
    this.#show = show
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<readonly Step[]> {
    return new fc.Value(this.#show(this.#programs.generate(random, bias).value), undefined)
  }

  canShrinkWithoutContext(value: unknown): value is readonly Step[] {
    return Array.isArray(value)
  }

  shrink(program: readonly Step[]): fc.Stream<fc.Value<readonly Step[]>> {
    const smaller = function* (show: (program: readonly Step[]) => readonly Step[]) {
      for (const steps of smallerThan(program)) {
        if (isFair(steps)) yield new fc.Value(show(steps), undefined)
      }
    }
    return fc.stream(smaller(this.#show))
  }
}

function* smallerThan(steps: readonly Step[]): Generator<readonly Step[]> {
  for (const [at, step] of steps.entries()) {
    yield steps.toSpliced(at, 1)
    yield steps.toSpliced(at, 1, ...insideOf(step).flat())
    for (const plainer of plainerThan(step)) yield steps.with(at, plainer)
  }
}

function* plainerThan(step: Step): Generator<Step> {
  if (step.caught) yield { ...step, caught: false }
  if ('via' in step && step.via !== 'drizzle') yield { ...step, via: 'drizzle' }
  if ('up' in step && step.up > 0) yield { ...step, up: 0 }
  if (step.kind === 'hook') {
    if (step.through !== 'shared') yield { ...step, through: 'shared' }
    if (step.scope !== 'savepoint') yield { ...step, scope: 'savepoint' }
    if (step.throws) yield { ...step, throws: false }
  }
  if (step.kind === 'block' && step.opener !== 'nested') yield { ...step, opener: 'nested' }
  if (step.kind === 'parallel') {
    const { branches } = step
    for (const [at, branch] of branches.entries()) {
      if (branches.length > 1) yield { ...step, branches: branches.toSpliced(at, 1) }
      for (const smaller of smallerThan(branch)) {
        yield { ...step, branches: branches.with(at, smaller) }
      }
    }
  } else if ('body' in step) {
    for (const body of smallerThan(step.body)) yield { ...step, body }
  }
}

/** The contents of one frame. */
interface Work {
  hasBranches: boolean
  needsOrder: boolean
}

/** Whether no frame has both parallel branches and manual savepoints. */
function isFair(steps: readonly Step[]): boolean {
  const frames: Work[] = []
  const visit = (step: Step, around: Work): void => {
    let work = around
    if (step.kind === 'block' && !JOINING.includes(step.opener)) {
      work = { hasBranches: false, needsOrder: false }
      frames.push(work)
    }
    work.hasBranches ||= step.kind === 'parallel' || step.kind === 'unawaited'
    work.needsOrder ||= step.kind === 'savepoint' || step.kind === 'rollbackOnExit'
    for (const inside of insideOf(step).flat()) visit(inside, work)
  }
  for (const step of steps) {
    const work = { hasBranches: false, needsOrder: false }
    frames.push(work)
    visit(step, work)
  }
  return frames.every(({ hasBranches, needsOrder }) => !hasBranches || !needsOrder)
}
