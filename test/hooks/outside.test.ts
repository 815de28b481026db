import {
  type Hooks,
  InvalidArgumentError,
  NoTransactionError,
  TransactionClosedError,
} from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const app = useApp()

const boom = new Error('boom')
const kinds = ['afterCommit', 'afterRollback', 'beforeCommit', 'afterCompletion'] as const

const surfaces: readonly { name: string; of: () => Hooks }[] = [
  { name: 'an extended Kysely', of: () => app.db },
  { name: 'the shared connection', of: () => app.shared },
]

describe.each(surfaces)('on $name', (surface) => {
  test('afterCommit outside a transaction runs at once, and its promise is that of the hook', async () => {
    const ran: string[] = []
    const done = surface.of().afterCommit(async () => {
      await app.pool.query('insert into note (text) values ($1)', ['of the hook'])
      ran.push('the hook has ended')
    })
    await done
    expect(ran).toEqual(['the hook has ended'])
    await expect(surface.of().afterCommit(() => Promise.reject(boom))).rejects.toBe(boom)
    expect(app.transcript.lines()).toEqual(['insert of the hook'])
    expect(await app.rows()).toEqual(['of the hook'])
  })

  test('so does afterCommit with the scope of the transaction', async () => {
    let ran = false
    await surface.of().afterCommit(() => void (ran = true), { scope: 'transaction' })
    expect(ran).toBe(true)
    expect(app.transcript.lines()).toEqual([])
  })

  test('so does beforeCommit, since there is nothing to wait for', async () => {
    let ran = false
    await surface.of().beforeCommit(() => void (ran = true))
    expect(ran).toBe(true)
    await expect(surface.of().beforeCommit(() => Promise.reject(boom))).rejects.toBe(boom)
    expect(app.transcript.lines()).toEqual([])
  })

  test.each(['afterRollback', 'afterCompletion'] as const)(
    '%s outside a transaction is ignored',
    async (kind) => {
      let ran = false
      await surface.of()[kind](() => void (ran = true))
      await app.shared.transaction(() => {})
      await app.shared.transaction(() => Promise.reject(boom)).catch(() => {})
      expect(ran).toBe(false)
      expect(app.transcript.lines()).toEqual([])
    },
  )

  test.each(kinds)('%s throws outside a transaction on request', async (kind) => {
    let ran = false
    const hook = () => void (ran = true)
    const refused = surface.of()[kind](hook, { outside: 'throw' })
    await expect(refused).rejects.toBeInstanceOf(NoTransactionError)
    expect(ran).toBe(false)
    await app.shared.transaction(() => surface.of()[kind](hook, { outside: 'throw' }))
    expect(ran).toBe(kind !== 'afterRollback')
    expect(app.transcript.lines()).toEqual([])
  })

  test.each(kinds)('%s refuses a value that is no function, inside and outside', async (kind) => {
    const wrong = [undefined, null, 'text', {}] as unknown as (() => void)[]
    for (const hook of wrong) {
      await expect(surface.of()[kind](hook)).rejects.toBeInstanceOf(InvalidArgumentError)
      await app.shared.transaction(async () => {
        await expect(surface.of()[kind](hook)).rejects.toBeInstanceOf(InvalidArgumentError)
      })
    }
    expect(app.transcript.lines()).toEqual([])
  })

  test.each(kinds)('%s refuses unknown options', async (kind) => {
    const wrong = [{ outside: 'warn' }, { scope: 'everywhere' }] as unknown as {
      scope: 'savepoint'
    }[]
    for (const options of wrong) {
      const refused = surface.of()[kind](() => {}, options)
      await expect(refused).rejects.toBeInstanceOf(InvalidArgumentError)
    }
    expect(app.transcript.lines()).toEqual([])
  })

  test.each(kinds)('%s refuses an object that is no handle', async (kind) => {
    for (const on of [app.orm, app.db, app.pool, {}]) {
      const refused = surface.of()[kind](() => {}, { on })
      await expect(refused).rejects.toBeInstanceOf(InvalidArgumentError)
    }
    expect(app.transcript.lines()).toEqual([])
  })

  test('the hooks can be destructured and renamed', async () => {
    const ran: string[] = []
    const {
      afterCommit: onSuccess,
      afterRollback: onFailure,
      beforeCommit,
      afterCompletion,
    } = surface.of()
    await app.orm.transaction(async () => {
      await onFailure(() => void ran.push('rollback'))
      await afterCompletion((outcome) => void ran.push(outcome))
      await onSuccess(() => void ran.push('commit'))
      await beforeCommit(() => void ran.push('before'))
    })
    expect(ran).toEqual(['before', 'committed', 'commit'])
    expect(app.transcript.lines()).toEqual([])
  })

  test('code that has left the transaction with outside() is outside it', async () => {
    const ran: string[] = []
    await expect(
      app.orm.transaction(async () => {
        await app.pool.query('insert into note (text) values ($1)', ['a'])
        await app.shared.outside(async () => {
          await surface.of().afterCommit(() => void ran.push('at once'))
          await surface.of().afterRollback(() => void ran.push('never'))
        })
        expect(ran).toEqual(['at once'])
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(ran).toEqual(['at once'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test.each(kinds)('%s is refused once the transaction has ended', async (kind) => {
    let leaked: (() => Promise<void>) | undefined
    let ran = false
    await app.orm.transaction(async (tx) => {
      leaked = () => surface.of()[kind](() => void (ran = true), { on: tx })
    })
    await expect(leaked?.()).rejects.toBeInstanceOf(TransactionClosedError)
    expect(ran).toBe(false)
    expect(app.transcript.lines()).toEqual([])
  })
})
