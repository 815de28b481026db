import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'

const app = useApp({ pool: { max: 1 } })

test('what is sent behind a COMMIT AND CHAIN that turned out a rollback is in the next transaction', async () => {
  const client = await app.pool.connect()
  await client.query('begin')
  await failureOf(client.query('select 1 / 0'))
  const chain = failureOf(client.query('commit and chain'))
  await client.query("insert into note (text) values ('b')")
  expect((await chain).name).toBe('TransactionAbortedError')
  await client.query('rollback')
  client.release()
  expect(await app.rows()).toEqual([])
})

test('AND CHAIN in a controlled transaction is refused', async () => {
  const trx = await app.db.startTransaction().execute()
  await trx.insertInto('note').values({ text: 'a' }).execute()
  const failure = await failureOf(sql`commit and chain`.execute(trx))
  expect(failure.name).toBe('ControlStatementError')
  await trx.insertInto('note').values({ text: 'b' }).execute()
  await trx.commit().execute()
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  expect(await app.rows()).toEqual(['a', 'b'])
})
