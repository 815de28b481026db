import { setImmediate } from 'node:timers/promises'
import { Rollback, TransactionAbortedError, TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { drizzleSpeaker, kyselySpeaker, type Speaker, speakers } from '../setup/worlds.ts'

/** The bugs that the model has found, as plain programs. */
const app = useApp()
const boom = new Error('boom')

const fail = (): Promise<Error> => failureOf(app.pool.query('select 1 / 0'))

describe.each(speakers)('in $name', (speaker) => {
  test('rollbackOnExit() of a handle affects its block, also while a manual savepoint is open', async () => {
    await speaker.block(app, () =>
      app.shared.transaction(async ({ tx }) => {
        await app.pool.query('savepoint x')
        await speaker.note(app, 'a')
        app.shared.of(tx).rollbackOnExit()
      }),
    )
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'savepoint "x"',
      'insert a',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test('an aborted manual savepoint that is left open fails the savepoint around it', async () => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      const nested = speaker.block(app, async () => {
        await speaker.note(app, 'b')
        await app.pool.query('savepoint x')
        await fail()
      })
      const error = await failureOf(nested)
      expect(error).toBeInstanceOf(TransactionAbortedError)
      expect(error.cause).toMatchObject({ code: '22012' })
      await speaker.note(app, 'c')
    })
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'savepoint "x"',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
  })

  test('an aborted manual savepoint that is left open fails the transaction, and is its cause', async () => {
    const ran: string[] = []
    const failing = speaker.block(app, async () => {
      await app.shared.beforeCommit(() => void ran.push('before commit'))
      await speaker.note(app, 'a')
      await app.pool.query('savepoint x')
      await fail()
    })
    const error = await failureOf(failing)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error.cause).toMatchObject({ code: '22012' })
    expect(ran).toEqual([])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('a block that ends during a manual ROLLBACK waits for it', async () => {
    const sent: Promise<unknown>[] = []
    const failing = speaker.block(app, async () => {
      sent.push(outcomes([speaker.note(app, 'a')]))
      await setImmediate()
      sent.push(app.pool.query('rollback'))
      await speaker.note(app, 'b')
    })
    expect(await failureOf(failing)).toBeInstanceOf(TransactionClosedError)
    await Promise.all(sent)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(app.pool.idleCount).toBe(app.pool.totalCount)
  })

  test('a manual ROLLBACK after COMMIT is refused', async () => {
    const committed = gate()
    let late: Promise<Error> | undefined
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      late = committed.passed.then(() => failureOf(app.pool.query('rollback')))
    })
    committed.open()
    expect(await late).toBeInstanceOf(TransactionClosedError)
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('a before-commit hook of a manual savepoint that is left open runs', async () => {
    const failing = speaker.block(app, async () => {
      await app.pool.query('savepoint x')
      await app.shared.beforeCommit(() => Promise.reject(boom))
      await speaker.note(app, 'a')
    })
    expect(await failureOf(failing)).toBe(boom)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint "x"', 'insert a', 'rollback'])
  })

  test('COMMIT waits for a joined block that is not awaited', async () => {
    let joined: Promise<string[]> | undefined
    await speaker.block(app, async () => {
      const entered = gate()
      joined = outcomes([
        app.shared.transaction(
          async () => {
            entered.open()
            await speaker.note(app, 'a')
            await setImmediate()
            await speaker.note(app, 'b')
          },
          { propagation: 'required' },
        ),
      ])
      await entered.passed
    })
    expect(await joined).toEqual(['fulfilled'])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
  })
})

type Fn = () => Promise<unknown>
interface Depth {
  readonly name: string
  readonly around: (speaker: Speaker, fn: Fn) => Promise<unknown>
}

test.each([drizzleSpeaker, kyselySpeaker])(
  'new Rollback() leaves a block of $name unchanged, with the error of a hook suppressed',
  async (speaker) => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.shared.afterRollback(() => Promise.reject(boom))
      throw new Rollback()
    })
    const error = await failureOf(failing)
    expect(error).toBeInstanceOf(Rollback)
    expect(error).toMatchObject({ suppressed: [{ name: 'HookError', cause: boom }] })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  },
)

/** Each rule holds for a transaction and for a savepoint. */
const depths: readonly Depth[] = [
  { name: 'a transaction', around: (_, fn) => fn() },
  { name: 'a savepoint', around: (speaker, fn) => speaker.block(app, fn) },
]

describe.each(speakers)('in $name', (speaker) => {
  describe.each(depths)('$name with a swallowed statement error', ({ around }) => {
    test('that is rolled back on request does not reject', async () => {
      await around(speaker, async () => {
        const value = await app.shared.transaction(async ({ frame }) => {
          await speaker.note(app, 'a')
          await fail()
          frame.rollbackOnExit()
          return 'fulfilled'
        })
        expect(value).toBe('fulfilled')
      })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).not.toContain('release savepoint sp1')
    })

    test('in a block that joined it is rolled back because of the failure of that block', async () => {
      await around(speaker, async () => {
        const failing = speaker.block(app, async () => {
          await speaker.note(app, 'a')
          const joined = app.shared.transaction(() => app.pool.query('select 1 / 0'), {
            propagation: 'required',
          })
          expect(await failureOf(joined)).toMatchObject({ code: '22012' })
        })
        const error = await failureOf(failing)
        expect(error).toMatchObject({ name: 'RollbackOnlyError', cause: { code: '22012' } })
      })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).not.toContain('release savepoint sp1')
    })

    test('rejects with that, and the error of a hook is suppressed', async () => {
      await around(speaker, async () => {
        const failing = speaker.block(app, async () => {
          await speaker.note(app, 'a')
          await fail()
          await app.shared.afterRollback(() => Promise.reject(boom))
        })
        const error = await failureOf(failing)
        expect(error).toBeInstanceOf(TransactionAbortedError)
        expect(error).toMatchObject({ cause: { code: '22012' }, suppressed: [{ cause: boom }] })
      })
      expect(await app.rows()).toEqual([])
    })
  })
})

describe("with nesting: 'join'", () => {
  const joining = useApp({ shared: { nesting: 'join' } })

  test.each(speakers)(
    'a block that is not awaited joins $name in time, or is not run',
    async (speaker) => {
      const ran: string[] = []
      let late: Promise<string[]> | undefined
      await speaker.block(joining, async () => {
        await speaker.note(joining, 'a')
        late = outcomes([
          kyselySpeaker.block(joining, async () => {
            ran.push('b')
            await kyselySpeaker.note(joining, 'b')
          }),
        ])
      })
      const [said] = (await late) ?? []
      expect(ran).toEqual(said === 'fulfilled' ? ['b'] : [])
      expect(await joining.rows()).toEqual(['a', ...ran])
      expect(joining.transcript.lines().at(-1)).toBe('commit')
    },
  )
})

describe('with lazy: false', () => {
  const eager = useApp({ shared: { lazy: false } })

  test.each(speakers)('$name passes on the turn when a savepoint fails', async (speaker) => {
    const said = speaker.block(eager, async () => {
      const opened = gate()
      const first = async (): Promise<void> => {
        await speaker.note(eager, 'a')
        const failing = outcomes([eager.pool.query('select 1 / 0')])
        opened.open()
        await failing
        await speaker.note(eager, 'b')
      }
      const second = async (): Promise<void> => {
        await opened.passed
        await speaker.block(eager, () => speaker.note(eager, 'c'))
      }
      expect(await outcomes([first(), second()])).not.toContain('fulfilled')
    })
    expect(await failureOf(said)).toBeInstanceOf(TransactionAbortedError)
    expect(await eager.rows()).toEqual([])
  })
})
