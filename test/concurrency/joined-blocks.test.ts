import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { breathe, gate } from '../setup/gate.ts'

const boom = new Error('boom')

describe('joined', () => {
  const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 500, nesting: 'join' } })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  const joining = speakers.map((speaker) => ({
    name: speaker.name,
    block: (fn: () => Promise<unknown>) =>
      speaker.name === 'shared'
        ? app.shared.transaction(fn, { propagation: 'required' })
        : speaker.block(app, fn),
  }))

  test.each(joining)(
    'a block of $name that nobody awaits rejects if its transaction was rolled back',
    async ({ block }) => {
      const go = gate()
      let joined: Promise<unknown> | undefined
      await failureOf(
        app.shared.transaction(async () => {
          joined = block(async () => {
            await note('a')
            await go.passed
          })
          joined.catch(() => {})
          await breathe()
          throw boom
        }),
      )
      go.open()
      const [settled] = await Promise.allSettled([joined])
      expect(await app.rows()).toEqual([])
      expect(settled?.status).toBe('rejected')
    },
  )

  test('commit() of a controlled transaction rejects if its transaction was rolled back', async () => {
    let commit: (() => Promise<unknown>) | undefined
    await failureOf(
      app.db.transaction().execute(async () => {
        const trx = await app.db.startTransaction().execute()
        await trx.insertInto('note').values({ text: 'a' }).execute()
        commit = () => trx.commit().execute()
        throw boom
      }),
    )
    const [settled] = await Promise.allSettled([commit?.()])
    expect(await app.rows()).toEqual([])
    expect(settled?.status).toBe('rejected')
  })

  test('a block that awaits the end of the transaction it joined times out, and the error names both places', async () => {
    let outer: Promise<unknown> | undefined
    let inner: Promise<unknown> | undefined
    outer = app.shared.transaction(async () => {
      await note('a')
      inner = joinedHere()
      inner.catch(() => {})
      await breathe()
    })
    async function joinedHere(): Promise<unknown> {
      return app.shared.transaction(
        async () => {
          await note('b')
          await breathe()
          await outer
        },
        { propagation: 'required' },
      )
    }
    const failure = await failureOf(outer)
    expect(failure.name).toBe('TurnTimeoutError')
    expect(failure.message).toMatch(/the block in its way began\n.*joinedHere/)
    expect(await app.rows()).toEqual([])
    expect((await failureOf(inner as Promise<unknown>)).name).toBe('TurnTimeoutError')
  })

  test('a block that nobody awaits may register hooks while its transaction waits for it', async () => {
    const told: string[] = []
    let joined: Promise<unknown> | undefined
    await app.shared.transaction(async () => {
      joined = app.shared.transaction(
        async () => {
          await breathe()
          await breathe()
          await note('a')
          await app.shared.afterCommit(() => void told.push('commit'))
        },
        { propagation: 'required' },
      )
      joined.catch(() => {})
      await Promise.resolve()
    })
    await joined
    expect(told).toEqual(['commit'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('a block that manually rolls back the transaction it joined rejects', async () => {
    let inner = ''
    const failure = await failureOf(
      app.shared.transaction(async () => {
        await note('a')
        await app.shared
          .transaction(
            async () => {
              await note('b')
              await app.pool.query('rollback')
            },
            { propagation: 'required' },
          )
          .then(
            () => (inner = 'kept'),
            (e: Error) => (inner = e.name),
          )
      }),
    )
    expect(failure.name).toBe('TransactionAbortedError')
    expect(inner).toBe('TransactionAbortedError')
  })
})
