import { setImmediate } from 'node:timers/promises'
import { type Hooks, TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { worlds } from '../setup/worlds.ts'

const app = useApp()

const boom = new Error('boom')

/** The ways in which the transaction goes on after hooks were registered in a frame of some depth. */
type Fate =
  | 'it commits'
  | 'the outermost frame is rolled back'
  | 'its own savepoint is rolled back'
  | 'the savepoint around it is rolled back'
  | 'a swallowed error has aborted it'
  | 'the connection was killed before COMMIT'

interface Case {
  readonly depth: 0 | 1 | 2
  readonly fate: Fate
  readonly ran: readonly string[]
  readonly lines: readonly string[]
  readonly rows: readonly string[]
}

const GOES_ON = 'then the outermost goes on'

const COMMITTED = [
  'beforeCommit',
  'afterCommit',
  'afterCommit of the transaction',
  'afterCompletion committed',
  'afterCompletion of the transaction committed',
]
const ROLLED_BACK = [
  'afterRollback',
  'afterRollback of the transaction',
  'afterCompletion rolled-back',
  'afterCompletion of the transaction rolled-back',
]
const ONLY_ITS_SAVEPOINT = [
  'afterRollback',
  'afterCompletion rolled-back',
  GOES_ON,
  'afterCommit of the transaction',
  'afterCompletion of the transaction committed',
]

const OPEN = [
  ['begin', 'insert n0'],
  ['begin', 'insert n0', 'savepoint sp1', 'insert n1'],
  ['begin', 'insert n0', 'savepoint sp1', 'insert n1', 'savepoint sp2', 'insert n2'],
] as const
const RELEASE = [[], ['release savepoint sp1'], ['release savepoint sp1']] as const
const ROWS = [['n0'], ['n0', 'n1'], ['n0', 'n1', 'n2']] as const

const everyDepth = ([0, 1, 2] as const).flatMap((depth): Case[] => [
  {
    depth,
    fate: 'it commits',
    ran: COMMITTED,
    lines: [...OPEN[depth], 'commit'],
    rows: ROWS[depth],
  },
  {
    depth,
    fate: 'the outermost frame is rolled back',
    ran: ROLLED_BACK,
    lines: [...OPEN[depth], 'rollback'],
    rows: [],
  },
  {
    depth,
    fate: 'a swallowed error has aborted it',
    ran: ROLLED_BACK,
    lines: [...OPEN[depth], ...RELEASE[depth], 'insert n0', 'commit'],
    rows: [],
  },
  {
    depth,
    fate: 'the connection was killed before COMMIT',
    ran: ROLLED_BACK,
    lines: OPEN[depth],
    rows: [],
  },
])

const cases: readonly Case[] = [
  ...everyDepth,
  {
    depth: 1,
    fate: 'its own savepoint is rolled back',
    ran: ONLY_ITS_SAVEPOINT,
    lines: [...OPEN[1], 'rollback to savepoint sp1', 'commit'],
    rows: ['n0'],
  },
  {
    depth: 2,
    fate: 'its own savepoint is rolled back',
    ran: ONLY_ITS_SAVEPOINT,
    lines: [...OPEN[2], 'rollback to savepoint sp2', 'commit'],
    rows: ['n0', 'n1'],
  },
  {
    depth: 2,
    fate: 'the savepoint around it is rolled back',
    ran: ONLY_ITS_SAVEPOINT,
    lines: [...OPEN[2], 'rollback to savepoint sp1', 'commit'],
    rows: ['n0'],
  },
]

describe.each(worlds)('$name', (world) => {
  test.each(cases)('hooks of a frame at depth $depth when $fate', async (given) => {
    const ran: string[] = []
    const speaker = (depth: number) => (depth % 2 === 0 ? world.outer : world.inner)
    const level = (depth: number): Promise<void> =>
      speaker(depth).block(app, async () => {
        await speaker(depth).note(app, `n${depth}`)
        if (depth === given.depth) await registerThroughBoth(ran)
        else await level(depth + 1).catch((error) => expect(error).toBe(boom))
        if (depth === 0) await meetFate(given.fate, ran)
        if (fails(given, depth)) throw boom
      })

    const result = level(0)
    if (given.fate === 'the outermost frame is rolled back') await expect(result).rejects.toBe(boom)
    else if (given.rows.length > 0) await result
    else await expect(result).rejects.toBeInstanceOf(TransactionAbortedError)

    expect(ran.toSorted()).toEqual(twice(given.ran).toSorted())
    expect(ran.indexOf(GOES_ON)).toBe(twice(given.ran).indexOf(GOES_ON))
    expect(app.transcript.lines()).toEqual(given.lines)
    expect(await app.rows()).toEqual(given.rows)
    expect(app.shared.inTransaction).toBe(false)
  })
})

/** Each hook is registered through Kysely, and through what both layers share. */
async function registerThroughBoth(ran: string[]): Promise<void> {
  await register(app.db, ran)
  await register(app.shared, ran)
}

function twice(ran: readonly string[]): string[] {
  return ran.flatMap((what) => (what === GOES_ON ? [what] : [what, what]))
}

async function register(hooks: Hooks, ran: string[]): Promise<void> {
  const says = (what: string) => () => void ran.push(what)
  const wide = { scope: 'transaction' } as const
  await hooks.beforeCommit(says('beforeCommit'))
  await hooks.afterCommit(says('afterCommit'))
  await hooks.afterCommit(says('afterCommit of the transaction'), wide)
  await hooks.afterRollback(says('afterRollback'))
  await hooks.afterRollback(says('afterRollback of the transaction'), wide)
  await hooks.afterCompletion((outcome) => void ran.push(`afterCompletion ${outcome}`))
  await hooks.afterCompletion(
    (outcome) => void ran.push(`afterCompletion of the transaction ${outcome}`),
    wide,
  )
}

function fails({ depth, fate }: Case, at: number): boolean {
  if (fate === 'the outermost frame is rolled back') return at === 0
  if (fate === 'its own savepoint is rolled back') return at === depth
  return fate === 'the savepoint around it is rolled back' && at === depth - 1
}

/** This hook runs in the outermost frame, after all frames in it have ended. */
async function meetFate(fate: Fate, ran: string[]): Promise<void> {
  if (fate.startsWith('its own') || fate.startsWith('the savepoint')) {
    ran.push(GOES_ON)
  }
  if (fate === 'a swallowed error has aborted it') {
    await expect(
      app.shared
        .kysely<{ note: { text: string } }>()
        .insertInto('note')
        .values({ text: 'n0' })
        .execute(),
    ).rejects.toThrow('duplicate')
  }
  if (fate === 'the connection was killed before COMMIT') {
    const pid = app.transcript.events().at(-1)?.processID
    await app.observer.query('select pg_terminate_backend($1)', [pid])
    while (app.shared.inTransaction) await setImmediate()
  }
}
