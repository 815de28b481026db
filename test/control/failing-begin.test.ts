import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { refuse, useRefusingApp } from '../pipeline/accounts.ts'

// What the server refuses as BEGIN stands for one that a request to cancel has hit: nothing of what
// comes behind it may run outside the transaction that it was meant for.
for (const lazy of [true, false]) {
  describe(lazy ? 'a BEGIN that rides, and fails' : 'a BEGIN of its own that fails', () => {
    const app = useRefusingApp(lazy)
    beforeEach(() => refuse('begin'))

    const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    const slow = { text: 'insert into note (text) values ($1), (pg_sleep(0)::text)', values: ['a'] }
    const insert = { text: 'insert into note (text) values ($1)', values: ['b'] }

    test('takes with it the statement that waits behind its own', async () => {
      let second: Promise<Error> | undefined
      const error = await failureOf(
        app.shared.transaction(async () => {
          const first = app.pool.query(slow)
          // the first has left, with BEGIN
          await new Promise<void>((resolve) => process.nextTick(resolve))
          second = failureOf(app.pool.query(insert))
          await first
        }),
      )
      expect(error).toMatchObject({ code: '42601' })
      if (lazy) expect(await second).toMatchObject({ name: 'TransactionClosedError' })
      else expect(second).toBeUndefined()
      refuse(undefined)
      await app.shared.transaction(() => app.pool.query(insert))
      expect(await app.rows()).toEqual(['b'])
    })

    test('is not rolled back: there is nothing to roll back', async () => {
      const controller = new AbortController()
      const reason = new Error('given up')
      const failing = app.shared.transaction(
        async () => {
          const answer = app.pool.query(slow)
          await later()
          controller.abort(reason)
          await answer
        },
        { signal: controller.signal },
      )
      const error = await failureOf(failing)
      if (lazy) expect(error).toBe(reason)
      else expect(error).toMatchObject({ code: '42601' })
      expect(app.transcript.lines()).not.toContain('rollback')
      expect(await app.rows()).toEqual([])
    })

    test('by hand lets nothing run that was sent behind it', async () => {
      const client = await app.pool.connect()
      const sent = ['begin', insert, insert, 'commit'].map((text) => client.query(text as string))
      // who waits for all of them hears of the first error first
      expect(await failureOf(Promise.all(sent))).toMatchObject({ code: '42601' })
      const answers = await Promise.allSettled(sent)
      client.release()
      expect(answers.slice(1).map(({ status }) => status)).not.toContain('fulfilled')
      expect(await app.rows()).toEqual([])
    })

    test('of a Kysely statement that was to be cancelled takes the others with it', async () => {
      const controller = new AbortController()
      const failing = app.db
        .transaction()
        .execute((trx) =>
          Promise.all([
            sql`insert into note (text) values ('c')`.execute(trx),
            trx.insertInto('note').values({ text: 'd' }).execute(),
            later().then(() => controller.abort()),
          ]),
        )
      expect(await failureOf(failing)).toMatchObject({ code: '42601' })
      expect(await app.rows()).toEqual([])
    })
  })
}
