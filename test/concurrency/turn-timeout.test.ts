import { setImmediate } from 'node:timers/promises'
import { TurnTimeoutError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp({ shared: { turnTimeout: 60 } })

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a block that awaits its own sibling gets an error that names both', async () => {
    let first: Promise<Error> | undefined
    let second: Promise<Error> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      const opened = gate()
      const later = gate()
      first = failureOf(
        inner.block(app, async () => {
          await inner.note(app, 'a')
          opened.open()
          await later.passed
          throw (await second) as Error
        }),
      )
      await opened.passed
      second = failureOf(inner.block(app, () => inner.note(app, 'b')))
      later.open()
      await Promise.all([first, second])
    })
    const error = (await second) as Error
    expect(error).toBeInstanceOf(TurnTimeoutError)
    const [asked, began] = error.message.split('in its way began')
    expect(asked).toContain('turn-timeout.test.ts')
    expect(began).toContain('turn-timeout.test.ts')
    expect(await app.rows()).toEqual(['p'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert p',
      'savepoint sp1',
      'insert a',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test('a statement of the parent that its open block awaits times out, and the transaction goes on', async () => {
    await outer.block(app, async () => {
      const opened = gate()
      let own: Promise<Error> | undefined
      const later = gate()
      const nested = inner.block(app, async () => {
        await inner.note(app, 'n')
        opened.open()
        await later.passed
        expect(await own).toBeInstanceOf(TurnTimeoutError)
      })
      await opened.passed
      own = failureOf(Promise.resolve(outer.note(app, 'p1')))
      later.open()
      await nested
      await outer.note(app, 'p2')
    })
    expect(await app.rows()).toEqual(['n', 'p2'])
    expect(app.transcript.lines().filter((line) => line.startsWith('insert'))).toEqual([
      'insert n',
      'insert p2',
    ])
  })

  test('a block that keeps working for longer than the timeout times nobody out', async () => {
    await outer.block(app, async () => {
      const opened = gate()
      const nested = inner.block(app, async () => {
        opened.open()
        for (let n = 0; n < 4; n++) {
          await app.pool.query('select pg_sleep(0.03)')
          await setImmediate()
        }
      })
      await opened.passed
      await Promise.all([nested, outer.note(app, 'p')])
    })
    expect(await app.rows()).toEqual(['p'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })
})
