import { getEventListeners } from 'node:events'
import { TransactionClosedError, TransactionTimeoutError } from 'shared-connection'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { type AppOptions, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { mannersHere, speakers, worlds } from '../setup/worlds.ts'
import { breathe, gate } from '../setup/gate.ts'
import { sleeping } from '../setup/sessions.ts'

const NAP = 'select pg_sleep(30)'
const given = new Error('given up')

const ways = mannersHere<{ name: string; options: AppOptions }>([
  { name: 'lazy', options: {} },
  { name: 'not lazy', options: { shared: { lazy: false } } },
  { name: 'pipeline', options: { pool: { pipeline: true } } },
]).filter(({ name }) => name !== 'not lazy' || inject('defers') !== false)

describe.each(ways)('shared.transaction() that a signal ends, $name,', ({ options }) => {
  const app = useApp({ ...options, pool: { max: 1, ...options.pool } })

  beforeAll(async () => {
    // COMMIT of a note with this text takes its time
    await app.observer.query(`
      create function nap() returns trigger language plpgsql as $$
        begin perform pg_sleep(30); return null; end $$;
      create constraint trigger nap after insert on note deferrable initially deferred
        for each row when (new.text = 'slow') execute function nap()`)
  })

  /** The names of the hooks of the outer block that have run. */
  function hooks(): string[] {
    const told: string[] = []
    void app.shared.afterCommit(() => void told.push('commit'))
    void app.shared.afterRollback(() => void told.push('rollback'))
    void app.shared.afterCompletion((outcome) => void told.push(outcome))
    return told
  }

  /** The one client of the pool is whole, or has made room for another. */
  async function nextRequestWorks(): Promise<void> {
    await app.shared.transaction(() => speakers[0].note(app, 'next'))
    expect(app.pool.totalCount).toBe(1)
  }

  test.each(speakers)('cancels the running statement of $name, and rolls back', async (speaker) => {
    const controller = new AbortController()
    let told: string[] = []
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          told = hooks()
          await speaker.note(app, 'a')
          await speaker.block(app, () => app.pool.query(NAP))
        },
        { signal: controller.signal },
      ),
    )
    await sleeping(app)
    controller.abort(given)
    expect(await failure).toBe(given)
    expect(told).toEqual(['rollback', 'rolled-back'])
    const lines = app.transcript.lines()
    expect(lines.slice(-2)).toEqual(['select', 'rollback'])
    expect(lines).not.toContain('commit')
    await nextRequestWorks()
    expect(await app.rows()).toEqual(['next'])
  })

  test('does not wait for its callback, which can send nothing any more', async () => {
    const controller = new AbortController()
    const open = gate()
    const later = Promise.withResolvers<Error>()
    const failure = failureOf(
      app.shared.transaction(
        async ({ tx, signal }) => {
          await speakers[0].note(app, 'a')
          expect(signal.aborted).toBe(false)
          open.open()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          await breathe()
          later.resolve(await failureOf(tx.execute('select 1')))
        },
        { signal: controller.signal },
      ),
    )
    await open.passed
    controller.abort(given)
    expect(await failure).toBe(given)
    expect(await later.promise).toBeInstanceOf(TransactionClosedError)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    await nextRequestWorks()
    expect(await app.rows()).toEqual(['next'])
  })

  test('sends nothing if the signal is already aborted', async () => {
    let ran = false
    const failure = await failureOf(
      app.shared.transaction(() => void (ran = true), { signal: AbortSignal.abort(given) }),
    )
    expect(failure).toBe(given)
    expect(ran).toBe(false)
    expect(app.transcript.lines()).toEqual([])
  })

  test('gives up its wait for a client, which the next one gets', async () => {
    const client = await app.pool.connect()
    const controller = new AbortController()
    const failure = failureOf(
      app.shared.transaction(() => speakers[0].note(app, 'a'), { signal: controller.signal }),
    )
    await breathe()
    controller.abort(given)
    expect(await failure).toBe(given)
    expect(app.transcript.lines()).toEqual([])
    client.release()
    await nextRequestWorks()
    expect(await app.rows()).toEqual(['next'])
  })

  test('gives up its wait for a turn', async () => {
    const controller = new AbortController()
    const open = gate()
    await app.shared.transaction(async () => {
      const sibling = app.shared.transaction(async () => {
        await speakers[1].note(app, 'a')
        await open.passed
      })
      const failure = failureOf(
        app.shared.transaction(() => speakers[0].note(app, 'b'), { signal: controller.signal }),
      )
      await breathe()
      controller.abort(given)
      expect(await failure).toBe(given)
      open.open()
      await sibling
    })
    expect(app.transcript.lines().filter((line) => line.startsWith('savepoint'))).toHaveLength(1)
    expect(await app.rows()).toEqual(['a'])
  })

  test.each(speakers)('rolls back its savepoint alone in a transaction of $name', async (outer) => {
    const controller = new AbortController()
    const told: string[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const failure = failureOf(
        app.shared.transaction(
          async () => {
            await app.shared.afterRollback(() => void told.push('rollback'))
            await outer.note(app, 'b')
            await app.pool.query(NAP)
          },
          { signal: controller.signal },
        ),
      )
      await sleeping(app)
      controller.abort(given)
      expect(await failure).toBe(given)
      expect(told).toEqual(['rollback'])
      await outer.note(app, 'c')
    })
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'insert c',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'c'])
  })

  test.each(worlds)('ends all blocks inside, in $name', async ({ outer, inner }) => {
    const controller = new AbortController()
    const siblings: Promise<Error>[] = []
    let middle: Promise<Error> | undefined
    const failure = failureOf(
      app.shared.transaction(
        () => {
          middle = failureOf(
            outer.block(app, async () => {
              await outer.note(app, 'a')
              siblings.push(failureOf(inner.block(app, () => app.pool.query(NAP))))
              siblings.push(failureOf(inner.block(app, () => inner.note(app, 'b'))))
              await Promise.all(siblings)
            }),
          )
          return middle
        },
        { signal: controller.signal },
      ),
    )
    await sleeping(app)
    controller.abort(given)
    expect(await failure).toBe(given)
    const errors = await Promise.all([...siblings, middle])
    const words = errors.map((error) => (error as { code?: string }).code ?? error?.name)
    expect(words).toEqual(['57014', 'TransactionClosedError', 'TransactionAbortedError'])
    expect(app.transcript.lines().at(-1)).toBe('rollback')
    await nextRequestWorks()
    expect(await app.rows()).toEqual(['next'])
  })

  test('makes the transaction that its block has joined rollback-only', async () => {
    const controller = new AbortController()
    const failure = await failureOf(
      app.shared.transaction(async () => {
        await speakers[0].note(app, 'a')
        const joined = failureOf(
          app.shared.transaction(() => app.pool.query(NAP), {
            propagation: 'required',
            signal: controller.signal,
          }),
        )
        await sleeping(app)
        controller.abort(given)
        expect(await joined).toBe(given)
      }),
    )
    expect(failure).toMatchObject({ name: 'RollbackOnlyError', cause: given })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('cancels a COMMIT in flight, and reports its outcome on the server', async () => {
    const controller = new AbortController()
    let told: string[] = []
    const failure = failureOf(
      app.shared.transaction(
        async () => {
          told = hooks()
          await speakers[0].note(app, 'slow')
        },
        { signal: controller.signal },
      ),
    )
    await sleeping(app)
    controller.abort(given)
    expect(await failure).toBe(given)
    expect(told).toEqual(['rollback', 'rolled-back'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert slow', 'commit'])
    await nextRequestWorks()
    expect(await app.rows()).toEqual(['next'])
  })

  test('changes nothing after COMMIT', async () => {
    const controller = new AbortController()
    const value = await app.shared.transaction(
      async () => {
        await app.shared.afterCommit(() => controller.abort(given))
        await speakers[0].note(app, 'a')
        return 'kept'
      },
      { signal: controller.signal },
    )
    expect(value).toBe('kept')
    expect(await app.rows()).toEqual(['a'])
  })

  test('rolls back during a before-commit hook', async () => {
    const controller = new AbortController()
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          await speakers[0].note(app, 'a')
          await app.shared.beforeCommit(() => controller.abort(given))
        },
        { signal: controller.signal },
      ),
    )
    expect(failure).toBe(given)
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('rejects with its reason, which carries the errors of rollback hooks', async () => {
    const controller = new AbortController()
    const reason = new Error('given up, with hooks')
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          await app.shared.afterRollback(() => Promise.reject(new Error('hook')))
          await speakers[0].note(app, 'a')
          controller.abort(reason)
          await app.pool.query('select 1')
        },
        { signal: controller.signal },
      ),
    )
    expect(failure).toBe(reason)
    expect(failure).toMatchObject({ suppressed: [{ name: 'HookError' }] })
    expect(await app.rows()).toEqual([])
  })

  test('does not end an independent transaction inside', async () => {
    const controller = new AbortController()
    let inner: AbortSignal | undefined
    let nested: AbortSignal | undefined
    await failureOf(
      app.shared.transaction(
        async () => {
          await app.shared.transaction(({ signal }) => void (nested = signal))
          await app.shared.outside(() =>
            app.shared.transaction(({ signal }) => void (inner = signal)),
          )
        },
        { signal: controller.signal },
      ),
    ).catch(() => {})
    controller.abort(given)
    expect(nested?.aborted).toBe(false)
    expect(inner?.aborted ?? false).toBe(false)
  })
})

describe('shared.transaction() with a timeout', () => {
  const app = useApp({ pool: { max: 1 } })

  test('is ended by it like by a signal, with an error that names the timeout', async () => {
    const failure = await failureOf(
      app.shared.transaction(
        async () => {
          await speakers[0].note(app, 'a')
          await app.pool.query(NAP)
        },
        { timeout: 1000 },
      ),
    )
    expect(failure).toBeInstanceOf(TransactionTimeoutError)
    expect(failure.message).toContain('1000 ms')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'select', 'rollback'])
    expect(await app.rows()).toEqual([])
  })

  test('is ended while it waits for a client', async () => {
    const client = await app.pool.connect()
    const failure = await failureOf(
      app.shared.transaction(() => speakers[0].note(app, 'a'), { timeout: 10 }),
    )
    expect(failure).toBeInstanceOf(TransactionTimeoutError)
    client.release()
    await app.shared.transaction(() => speakers[0].note(app, 'b'))
    expect(await app.rows()).toEqual(['b'])
  })

  test('that is not reached does nothing, and leaves no timer and no listener', async () => {
    const { signal } = new AbortController()
    const clocks = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = clocks()
    for (let n = 0; n < 20; n++) {
      await app.shared.transaction(() => speakers[0].note(app, `${n}`), { timeout: 60_000, signal })
    }
    // others come and go
    expect(clocks() - before).toBeLessThan(10)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(await app.rows()).toHaveLength(20)
  })

  test.each([
    [{ timeout: 0 }, 'timeout was 0'],
    [{ timeout: Number.NaN }, 'timeout was NaN'],
    [{ timeout: 2 ** 31 }, 'timeout was 2147483648'],
    [{ signal: {} as AbortSignal }, 'give an AbortSignal'],
    [
      { propagation: 'never' as const, timeout: 5 },
      'propagation "never" may run without a transaction, which these options require: timeout',
    ],
  ])('%j is refused before any SQL', async (options, message) => {
    const failure = await failureOf(app.shared.transaction(() => 1, options as { timeout: number }))
    expect(failure).toMatchObject({ name: 'InvalidArgumentError' })
    expect(failure.message).toContain(message)
    expect(app.transcript.lines()).toEqual([])
  })
})
