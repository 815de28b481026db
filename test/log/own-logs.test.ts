import type { Logger } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, type LogEvent, PostgresDialect } from 'kysely'
import 'shared-connection/register'
import { beforeEach, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'

const app = useApp()

/** The same application, whose layers have their own logs. */
function withLogs() {
  const drizzleLines: string[] = []
  const kyselyEvents: LogEvent[] = []
  const logger: Logger = {
    logQuery: (query, params) =>
      void drizzleLines.push(`${query.split(' ', 1)[0]} ${params.join()}`),
  }
  const orm = drizzle({ client: app.pool, logger })
  const db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: orm.$client }),
    log: (event) => void kyselyEvents.push(event),
  }).extension('shared-connection', { drizzle: orm })
  const kyselyLines = () =>
    kyselyEvents.map(
      ({ level, query }) => `${level} ${query.sql.split(' ', 1)[0]} ${query.parameters.join()}`,
    )
  return { orm, db, drizzleLines, kyselyLines, kyselyEvents }
}

let logged: ReturnType<typeof withLogs>
beforeEach(() => {
  logged = withLogs()
})

test('each layer goes on logging its own statements, once', async () => {
  const { orm, db, drizzleLines, kyselyLines } = logged
  await orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    await db.insertInto('note').values({ text: 'b' }).execute()
    await db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'c' }).execute()
      await orm.insert(notes).values({ text: 'd' })
    })
  })
  expect(drizzleLines.filter((line) => line.startsWith('insert'))).toEqual(['insert a', 'insert d'])
  expect(kyselyLines().filter((line) => line.includes('insert'))).toEqual([
    'query insert b',
    'query insert c',
  ])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'insert a',
    'insert b',
    'savepoint sp1',
    'insert c',
    'insert d',
    'commit',
  ])
  expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
})

test('a statement that fails goes to the log of its layer as before', async () => {
  const { db, kyselyEvents, orm, drizzleLines } = logged
  await db.insertInto('note').values({ text: 'a' }).execute()
  await expect(db.insertInto('note').values({ text: 'a' }).execute()).rejects.toThrow('duplicate')
  await expect(Promise.resolve(orm.insert(notes).values({ text: 'a' }))).rejects.toThrow()
  expect(kyselyEvents.map(({ level }) => level)).toEqual(['query', 'error'])
  expect(kyselyEvents[1]).toMatchObject({ error: { code: '23505' } })
  expect(drizzleLines).toEqual(['insert a'])
  expect(app.transcript.lines()).toEqual(['insert a', 'insert a', 'insert a'])
  expect(await app.rows()).toEqual(['a'])
})

test('Kysely logs the duration of a statement', async () => {
  const { db, kyselyEvents } = logged
  await db.selectFrom('note').selectAll().execute()
  expect(kyselyEvents[0]?.queryDurationMillis).toBeGreaterThan(0)
  expect(app.transcript.lines()).toEqual(['select'])
})
