import { sql } from 'kysely'
import { TransactionAbortedError } from 'shared-connection'
import { beforeEach, describe, expect, test } from 'vitest'
import { refuse, useRefusingApp } from '../pipeline/accounts.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers, worlds } from '../setup/worlds.ts'

for (const lazy of [true, false]) {
  describe(lazy ? 'deferred control commands' : 'control commands that are not deferred', () => {
    const app = useApp({ pool: { max: 1 }, shared: { lazy } })

    const insert = (name: string) => ({
      text: 'insert into note (text) values ($1)',
      values: [name],
    })

    /** Leaves the only client in an aborted transaction that the bridge does not know of: BEGIN is not sent. */
    async function spoil(): Promise<void> {
      const client = await app.shared.withClient((physical) => physical)
      await client.query('begin')
      await client.query('select 1/0').catch(() => {})
    }

    describe.each(speakers)('of $name', (speaker: Speaker) => {
      test('a BEGIN that cannot be sent lets nothing run, and its client is closed', async () => {
        const ran: string[] = []
        await spoil()
        const error = await failureOf(
          speaker.block(app, async () => {
            await app.shared.afterCompletion((outcome) => void ran.push(outcome))
            await app.pool.query(insert('a'))
          }),
        )
        expect(error).toMatchObject({ name: 'TransactionDriftError' })
        expect(app.pool.totalCount).toBe(0)
        expect(app.transcript.lines()).not.toContain('commit')
        expect(ran).toEqual(lazy ? ['rolled-back'] : [])
        await speaker.block(app, () => speaker.note(app, 'next'))
        expect(await app.rows()).toEqual(['next'])
      })

      test('a BEGIN that cannot be sent fails the transaction even if its error is swallowed', async () => {
        await spoil()
        const error = await failureOf(
          speaker.block(app, async () => {
            await failureOf(app.pool.query(insert('a')))
            await failureOf(app.pool.query(insert('b')))
          }),
        )
        if (lazy) expect(error).toBeInstanceOf(TransactionAbortedError)
        expect(app.pool.totalCount).toBe(0)
        expect(app.transcript.lines()).not.toContain('insert b')
        expect(await app.rows()).toEqual([])
      })
    })

    describe.each(worlds)('in $name', ({ outer, inner }) => {
      test('a RELEASE that fails because the savepoint is gone rolls back the transaction', async () => {
        const error = await failureOf(
          outer.block(app, async () => {
            await outer.note(app, 'p')
            await inner.block(app, async () => {
              await inner.note(app, 'n')
              await app.shared.withClient((client) => client.query('release savepoint sp1'))
            })
            await outer.note(app, 'q')
          }),
        )
        expect(error).toMatchObject({ code: '3B001' })
        expect(await app.rows()).toEqual([])
        expect(app.transcript.lines().at(-1)).toBe('rollback')
      })

      test('a ROLLBACK TO that fails does not replace the error of its block, and the transaction is rolled back', async () => {
        const boom = new Error('boom')
        const error = await failureOf(
          outer.block(app, async () => {
            await outer.note(app, 'p')
            const nested = inner.block(app, async () => {
              await inner.note(app, 'n')
              await app.shared.withClient((client) => client.query('release savepoint sp1'))
              throw boom
            })
            expect(await failureOf(nested)).toBe(boom)
            expect(boom).toHaveProperty('suppressed')
          }),
        )
        expect(error).toBeInstanceOf(TransactionAbortedError)
        expect(error.cause).toMatchObject({ code: '3B001' })
        expect(await app.rows()).toEqual([])
      })

      test('a nested block does not run if withClient() has left the transaction aborted', async () => {
        const ran: string[] = []
        const error = await failureOf(
          outer.block(app, async () => {
            await outer.note(app, 'p')
            await failureOf(
              app.shared.withClient((client) => client.query('select 1/0').catch(() => {})),
            ).catch(() => {})
            const nested = inner.block(app, () => Promise.resolve(ran.push('nested')))
            expect(await failureOf(nested)).toBeInstanceOf(TransactionAbortedError)
          }),
        )
        expect(error).toBeInstanceOf(TransactionAbortedError)
        expect(error).toHaveProperty('cause')
        expect(ran).toEqual([])
        expect(await app.rows()).toEqual([])
        const lines = app.transcript.lines()
        expect(lines.filter((line) => line.startsWith('savepoint'))).toEqual([])
      })
    })
  })
}

// A BEGIN that the server does not understand stands for one that a CancelRequest has hit: no statement
// behind it may run outside its transaction.
for (const lazy of [true, false]) {
  describe(lazy ? 'a deferred BEGIN that fails' : 'a BEGIN that fails and was not deferred', () => {
    const app = useRefusingApp(lazy)
    beforeEach(() => refuse('begin'))

    const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    const slow = { text: 'insert into note (text) values ($1), (pg_sleep(0)::text)', values: ['a'] }
    const insert = { text: 'insert into note (text) values ($1)', values: ['b'] }

    test('fails the statement that waits behind the first one, too', async () => {
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

    test('that was sent manually lets nothing run behind it', async () => {
      const client = await app.pool.connect()
      const sent = ['begin', insert, insert, 'commit'].map((text) => client.query(text as string))
      // Promise.all rejects with the first error
      expect(await failureOf(Promise.all(sent))).toMatchObject({ code: '42601' })
      const answers = await Promise.allSettled(sent)
      client.release()
      expect(answers.slice(1).map(({ status }) => status)).not.toContain('fulfilled')
      expect(await app.rows()).toEqual([])
    })

    test('of an aborted Kysely statement fails the others, too', async () => {
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
