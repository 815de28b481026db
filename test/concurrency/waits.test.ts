import { PoolExhaustedError, TurnTimeoutError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp({ pool: { max: 1 }, shared: { turnTimeout: 60 } })

const atLeast = (least: number): unknown =>
  expect.toSatisfy((count: number) => count >= least, `at least ${least}`)

/** Waits that cannot end. The error names both places: the one that waits and the one that it waits for. */
describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a COMMIT that waits for a block which waits for it is rolled back, and says where both began', async () => {
    const finished = gate()
    let nested: Promise<Error> | undefined
    const failing = outer.block(app, async () => {
      await outer.note(app, 'p')
      const opened = gate()
      nested = failureOf(
        inner.block(app, async () => {
          await inner.note(app, 'n')
          opened.open()
          await finished.passed
        }),
      )
      await opened.passed
    })
    const error = await failureOf(failing)
    expect(error).toBeInstanceOf(TurnTimeoutError)
    const [asked, began] = error.message.split('in its way began')
    expect(asked).toContain('waits.test.ts')
    expect(began).toContain('waits.test.ts')
    finished.open()
    expect((await nested)?.name).toBe('TransactionAbortedError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert p',
      'savepoint sp1',
      'insert n',
      'rollback',
    ])
  })

  test('a block of outside() that is awaited inside, on a pool of one, is refused at once', async () => {
    const refused: Error[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      refused.push(
        await failureOf(app.shared.outside(() => inner.block(app, () => inner.note(app, 'x')))),
        await failureOf(app.shared.outside(async () => void (await inner.note(app, 'x')))),
        await failureOf(app.shared.outside(() => app.pool.connect())),
      )
      await outer.note(app, 'q')
    })
    const places = refused.map(({ message }) => message.match(/waits\.test\.ts/g)?.length)
    for (const error of refused) expect(error).toBeInstanceOf(PoolExhaustedError)
    // where the client was asked for, and where the transaction began that has it; a builder of
    // Drizzle that is only awaited leaves no trace of who awaits it
    const isTraceless = inner.name === 'drizzle'
    expect(places).toEqual([2, isTraceless ? 1 : 2, 2].map(atLeast))
    expect(await app.rows()).toEqual(['p', 'q'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert p', 'insert q', 'commit'])
  })

  test('a statement that runs for longer than the timeout times nobody out', async () => {
    await outer.block(app, async () => {
      const opened = gate()
      const nested = inner.block(app, async () => {
        opened.open()
        await app.pool.query('select pg_sleep(0.3)')
        await inner.note(app, 'n')
      })
      await opened.passed
      const sibling = inner.block(app, () => inner.note(app, 's'))
      await Promise.all([nested, sibling, outer.note(app, 'p')])
    })
    expect((await app.rows()).toSorted()).toEqual(['n', 'p', 's'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })
})

describe.each(speakers)('on a pool of one, $name', (speaker) => {
  test('waits for a client that code outside transactions holds, since it will be released', async () => {
    const client = await app.pool.connect()
    const waiting = speaker.block(app, () => speaker.note(app, 'a'))
    await client.query('select 1')
    client.release()
    await waiting
    expect(await app.rows()).toEqual(['a'])
  })
})
