import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { IdleTimeout } from '../../packages/bridge/src/wire/idle-timeout.ts'

interface Wait {
  readonly name: string
  readonly since: number
}

const waits = new Set<Wait>()
let ended: string[]
let lastActivity: number

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
  waits.clear()
  ended = []
  lastActivity = 0
})

afterEach(() => {
  vi.useRealTimers()
})

function timeoutOf(milliseconds: number): IdleTimeout<Wait> {
  return new IdleTimeout(
    milliseconds,
    waits,
    () => lastActivity,
    (wait) => {
      ended.push(wait.name)
      waits.delete(wait)
    },
  )
}

function begin(name: string): void {
  waits.add({ name, since: performance.now() })
}

describe('a wait', () => {
  test('ends when nothing has happened for the whole time', () => {
    const timeout = timeoutOf(100)
    begin('a')
    timeout.start()
    vi.advanceTimersByTime(98)
    expect(ended).toEqual([])
    vi.advanceTimersByTime(2)
    expect(ended).toEqual(['a'])
    timeout.stop()
  })

  test('begins anew with all that happens', () => {
    const timeout = timeoutOf(100)
    begin('a')
    timeout.start()
    vi.advanceTimersByTime(60)
    lastActivity = performance.now()
    vi.advanceTimersByTime(98)
    expect(ended).toEqual([])
    vi.advanceTimersByTime(2)
    expect(ended).toEqual(['a'])
    timeout.stop()
  })

  test('that began later ends later', () => {
    const timeout = timeoutOf(100)
    begin('a')
    timeout.start()
    vi.advanceTimersByTime(50)
    begin('b')
    vi.advanceTimersByTime(50)
    expect(ended).toEqual(['a'])
    vi.advanceTimersByTime(50)
    expect(ended).toEqual(['a', 'b'])
    timeout.stop()
  })

  test.each([
    { name: 'that can have no end', milliseconds: 100, activity: Infinity },
    { name: 'without a limit', milliseconds: 0, activity: 0 },
  ])('$name does not end', ({ milliseconds, activity }) => {
    const timeout = timeoutOf(milliseconds)
    lastActivity = activity
    begin('a')
    timeout.start()
    vi.advanceTimersByTime(1000)
    expect(ended).toEqual([])
    timeout.stop()
  })
})

test('a clock that was stopped does not go on, whoever stops it', () => {
  const timeout = new IdleTimeout(
    100,
    waits,
    () => 0,
    () => timeout.stop(),
  )
  begin('a')
  timeout.start()
  vi.advanceTimersByTime(100)
  expect(vi.getTimerCount()).toBe(0)
})
