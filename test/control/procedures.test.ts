import { beforeAll, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

beforeAll(async () => {
  await app.observer.query(`
    create procedure keep(text) language plpgsql as $$
      begin insert into note (text) values ($1); commit; end $$`)
})

describe.each(speakers)('a procedure that commits, in a transaction of $name,', (speaker) => {
  test('is refused by the server, and leaves the transaction as any failing statement does', async () => {
    const failure = await failureOf(
      speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.pool.query(`call keep('b')`)
      }),
    )
    // invalid_transaction_termination
    expect(failure).toMatchObject({ code: '2D000' })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'call', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('is refused also if BEGIN is piggybacked on it, and fails its savepoint alone', async () => {
    await speaker.block(app, async () => {
      const nested = speaker.block(app, () => app.pool.query(`call keep('b')`))
      expect(await failureOf(nested)).toMatchObject({ code: '2D000' })
      await speaker.note(app, 'a')
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'call',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert a',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a'])
  })
})

test('a procedure that commits, outside a transaction, has committed', async () => {
  await app.pool.query(`call keep('a')`)
  expect(await app.rows()).toEqual(['a'])
  await app.orm.transaction(() => app.pool.query(`insert into note (text) values ('b')`))
  expect(await app.rows()).toEqual(['a', 'b'])
  expect(app.transcript.lines()).toEqual(['call', 'begin', 'insert', 'commit'])
})
