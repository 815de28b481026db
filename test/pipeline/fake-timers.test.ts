import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { refuse, useRefusingApp } from './accounts.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { note } from '../setup/recorded-app.ts'

// A program may stop the clock in its tests, and with it whatever the global timers would run.

const app = useRefusingApp(true)

beforeEach(async () => {
  await app.pool.query('select 1')
  vi.useFakeTimers()
})
afterEach(() => void vi.useRealTimers())

test('what was skipped behind an error is told so while the clock stands', async () => {
  let fates: string[] = []
  const failing = app.shared.transaction(async () => {
    fates = await fatesOf([note(app, 'a'), app.pool.query('select 1 / 0'), note(app, 'b')])
  })
  expect((await failureOf(failing)).cause).toMatchObject({ code: '22012' })
  expect(fates).toEqual(['done', 'error 22012', 'StatementSkippedError 25P02'])
  expect(await app.rows()).toEqual([])
})

test('what waits for a BEGIN that is refused is told so while the clock stands', async () => {
  refuse('begin')
  let fates: string[] = []
  const failing = app.shared.transaction(async () => {
    const first = note(app, 'a')
    // it has left with BEGIN by then
    await new Promise<void>((resolve) => process.nextTick(resolve))
    fates = await fatesOf([first, note(app, 'b')])
  })
  expect((await failureOf(failing)).cause).toMatchObject({ code: '42601' })
  expect(fates).toEqual(['error 42601', 'TransactionClosedError'])
  expect(await app.rows()).toEqual([])
})
