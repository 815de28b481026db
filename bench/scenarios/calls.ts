import { CallCounter, type CalledFunction } from '../coverage.ts'
import { DrizzleLayer } from '../layers/drizzle-layer.ts'
import { drizzleVersions } from '../layers/drizzle-version.ts'
import { type Field, openField } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import type { Probe, Reading } from '../probe.ts'
import { type Variant, variant } from '../scenario.ts'
import { median } from '../statistics.ts'

/** The first calls fill caches that later calls use. */
const WARM_UP = 20
const TIMES = 5

interface Path extends Variant {
  /** The greatest number of calls that meets the goal. */
  readonly goal?: number
}

type Measure = Parameters<Variant['run']>[0]

/** An operation inside a transaction that has sent its BEGIN already, with another statement. */
function inside(layer: Layer, operation: (tx: Layer) => Promise<unknown>): Variant['run'] {
  return async (measure: Measure) => {
    await layer.transaction(async (tx) => {
      await tx.add('before')
      await measure(() => operation(tx))
    })
  }
}

function addInTransaction(layer: Layer): Promise<unknown> {
  return layer.transaction((tx) => tx.add('one'))
}

function pathsOf(field: Field, version: keyof typeof drizzleVersions): Path[] {
  const { drizzle, kysely } = field.together[version]
  const name = `drizzle ${version}`
  return [
    { ...variant(`${name}: insert`, () => drizzle.add('one')), goal: 50 },
    { name: `${name}: insert through tx`, run: inside(drizzle, (tx) => tx.add('one')), goal: 75 },
    {
      name: `${name}: insert of kysely in a transaction`,
      run: inside(drizzle, () => kysely.add('one')),
      goal: 110,
    },
    {
      name: `${name}: savepoint of kysely with an insert`,
      run: inside(drizzle, () => addInTransaction(kysely)),
      goal: 280,
    },
    { name: `${name}: tx.transaction with an insert`, run: inside(drizzle, addInTransaction) },
    {
      ...variant(`${name}: orm.transaction with an insert`, () => addInTransaction(drizzle)),
      goal: 280,
    },
  ]
}

function paths(field: Field): readonly Path[] {
  const { pg, kysely } = field.shared
  // The bridge makes `tx` with the Drizzle that it resolves itself, which is 0.45 here.
  const { shared } = field.together['0.45']
  const addThroughContext = (): Promise<unknown> =>
    shared.transaction(({ tx }) => new DrizzleLayer('tx', drizzleVersions['0.45'], tx).add('one'))
  return [
    variant('pg: insert', () => pg.add('one')),
    { ...variant('kysely: insert', () => kysely.add('one')), goal: 130 },
    { name: 'kysely: insert through trx', run: inside(kysely, (trx) => trx.add('one')) },
    { name: 'kysely: trx.transaction with an insert', run: inside(kysely, addInTransaction) },
    variant('kysely: db.transaction with an insert', () => addInTransaction(kysely)),
    ...pathsOf(field, '0.45'),
    ...pathsOf(field, '1.0'),
    { ...variant('shared.transaction with an insert through tx', addThroughContext), goal: 280 },
  ]
}

export const calls: Probe = {
  name: 'calls',
  title: 'calls of functions of the bridge, per operation',
  async read({ url, listsCalls }) {
    const field = openField(url, { stock: 1, shared: 1 })
    const counter = await CallCounter.start(
      new URL('.', import.meta.resolve('shared-connection')).href,
    )
    try {
      const readings: Reading[] = []
      for (const path of paths(field)) readings.push(await read(path, counter, listsCalls))
      return readings
    } finally {
      await counter.stop()
      await field.close()
    }
  },
}

async function read(path: Path, counter: CallCounter, listsCalls: boolean): Promise<Reading> {
  for (let time = 0; time < WARM_UP; time++) {
    await path.run(async (operation) => void (await operation()))
  }
  const taken: (readonly CalledFunction[])[] = []
  for (let time = 0; time < TIMES; time++) {
    await path.run(async (operation) => void taken.push(await counter.count(operation)))
  }
  const sums = taken.map((each) => each.reduce((sum, { calls: count }) => sum + count, 0))
  const value = median(sums)
  const called = taken.at(-1) ?? []
  const files = new Set(called.map(({ file }) => file)).size
  return {
    name: path.name,
    value,
    unit: `calls (${called.length} functions, ${files} files)`,
    uncertainty: (Math.max(...sums) - Math.min(...sums)) / 2,
    ...(path.goal !== undefined && { goal: `≤ ${path.goal}`, met: value <= path.goal }),
    ...(listsCalls && { details: called.map(described) }),
  }
}

function described({ file, line, name, calls: count }: CalledFunction): string {
  return `${String(count).padStart(4)}  ${file}:${line} ${name === '' ? '(no name)' : name}`
}
