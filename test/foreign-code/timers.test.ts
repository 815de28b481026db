import { TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp()

/** Ways to run code later. */
const later: { readonly [name: string]: (run: () => void) => void } = {
  setTimeout: (run) => void setTimeout(run, 1),
  setImmediate: (run) => void setImmediate(run),
  setInterval: (run) => {
    const timer = setInterval(() => {
      clearInterval(timer)
      run()
    }, 1)
  },
  queueMicrotask: (run) => queueMicrotask(run),
  'process.nextTick': (run) => process.nextTick(run),
}

/** The result of work that is started later. */
function when(schedule: (run: () => void) => void, work: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    schedule(() => void Promise.resolve(work()).then(resolve, reject))
  })
}

describe.each(Object.entries(later))('code that %s() runs', (_, schedule) => {
  test.each(worlds)('runs in the block that scheduled it, in $name', async ({ outer, inner }) => {
    await outer.block(app, async () => {
      await when(schedule, () => inner.note(app, 'a'))
      const nested = inner.block(app, async () => {
        await when(schedule, () => outer.note(app, 'b'))
        await when(schedule, () => outer.block(app, async () => void (await inner.note(app, 'c'))))
        throw new Error('boom')
      })
      expect((await failureOf(nested)).message).toBe('boom')
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'savepoint sp2',
      'insert c',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test.each(speakers)(
    'runs outside if it was scheduled outside a transaction of $name',
    async (speaker) => {
      const asked = gate()
      const own = when(
        (run) => schedule(() => void asked.passed.then(run)),
        () => speaker.note(app, 'own'),
      )
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        asked.open()
        await own
        throw new Error('boom')
      })
      await expect(failing).rejects.toThrow('boom')
      expect(await app.rows()).toEqual(['own'])
    },
  )
})

describe.each(speakers)('an interval that was started in a transaction of $name', (speaker) => {
  test('is refused after the end, the error says where that began, and no earlier note is lost', async () => {
    const ticks: Promise<string>[] = []
    const refused = gate()
    const twice = gate()
    let timer: NodeJS.Timeout | undefined
    let error: Error | undefined
    await speaker.block(app, async () => {
      timer = setInterval(() => {
        const text = `tick ${ticks.length}`
        const tick = Promise.resolve(speaker.note(app, text)).then(
          () => text,
          async (reason: unknown) => {
            error = await failureOf(Promise.reject(reason))
            refused.open()
            return 'refused'
          },
        )
        ticks.push(tick)
        if (ticks.length === 2) twice.open()
      }, 1)
      await twice.passed
    })
    await refused.passed
    clearInterval(timer)
    const told = await Promise.all(ticks)
    expect(error).toBeInstanceOf(TransactionClosedError)
    expect(error?.message).toContain('timers.test.ts')
    expect(await app.rows()).toEqual(told.filter((text) => text !== 'refused'))
    const lines = app.transcript.lines()
    expect([lines[0], lines.at(-1)]).toEqual(['begin', 'commit'])
  })
})
