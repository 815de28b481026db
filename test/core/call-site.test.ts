import { afterEach, describe, expect, test } from 'vitest'
import {
  linesOf,
  callSiteAbove,
  callSiteHere,
} from '../../packages/bridge/src/transaction/call-site.ts'

const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') as PropertyDescriptor
afterEach(() => {
  Object.defineProperty(Error, 'stackTraceLimit', before)
})

function deep<T>(depth: number, fn: () => T): T {
  return depth === 0 ? fn() : deep(depth - 1, fn)
}

describe('a call site', () => {
  const begin = () => callSiteAbove(0)

  test('has the lines of the call, but only a few', () => {
    Error.stackTraceLimit = 10
    const lines = linesOf(deep(20, begin)).split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toContain('begin')
    expect(lines[1]).toContain('deep')
    expect(Error.stackTraceLimit).toBe(10)
  })

  test('has more lines if the program has raised the limit', () => {
    Error.stackTraceLimit = 15
    expect(linesOf(deep(20, begin)).split('\n')).toHaveLength(15)
    expect(linesOf(deep(50, callSiteHere)).split('\n')).toHaveLength(15)
    expect(Error.stackTraceLimit).toBe(15)
  })

  test('tells how to see the lines if the program wants no stack traces', () => {
    Error.stackTraceLimit = 0
    expect(linesOf(begin())).toContain('was not kept: set Error.stackTraceLimit')
    expect(Error.stackTraceLimit).toBe(0)
  })

  test('works in a program that has frozen the limit', () => {
    Object.defineProperty(Error, 'stackTraceLimit', { value: 2, writable: false })
    expect(linesOf(deep(20, begin)).split('\n')).toHaveLength(2)
    expect(linesOf(deep(20, callSiteHere)).split('\n')).toHaveLength(2)
    expect(Error.stackTraceLimit).toBe(2)
  })

  test('works in a program that has no limit', () => {
    Reflect.deleteProperty(Error, 'stackTraceLimit')
    expect(linesOf(begin())).toContain('was not kept')
    expect('stackTraceLimit' in Error).toBe(false)
  })
})
