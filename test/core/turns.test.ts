import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Frame } from '../../packages/bridge/src/transaction/frame.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { Turns } from '../../packages/bridge/src/transaction/turns.ts'
import { block, mark, scoped } from './make-frame.ts'

let stack: TransactionStack
let turns: Turns
let root: Frame
let ran: string[]
let clocks: { expire: (error: unknown) => void; stopped: boolean }[]

const gone = (frame: Frame) => new Error(`${frame.name ?? 'the transaction'} is gone`)

beforeEach(() => {
  ran = []
  clocks = []
  stack = new TransactionStack()
  turns = new Turns(stack, (_frame, expire) => {
    const clock = { expire, stopped: false }
    clocks.push(clock)
    return { stop: () => void (clock.stopped = true) }
  })
  root = stack.push(scoped)
})

/** Takes a turn that records its name. */
function take(frame: Frame, name: string): Promise<string> {
  return turns.run(frame, () => {
    ran.push(name)
    return Promise.resolve(name)
  })
}

describe('a turn', () => {
  test('comes at once if no block is open', async () => {
    const answer = take(root, 'a')
    expect(ran).toEqual(['a'])
    expect(await answer).toBe('a')
    expect(turns.waiting).toBe(0)
    expect(clocks).toEqual([])
  })

  test('comes at once with a manual savepoint inside, and inside an open block', async () => {
    stack.push(mark('m'))
    await take(root, 'a')
    const inner = stack.push(block('x'))
    await take(inner, 'b')
    expect(ran).toEqual(['a', 'b'])
  })

  test('comes when the open block has ended', async () => {
    const inner = stack.push(block('x'))
    const answer = take(root, 'a')
    await setImmediate()
    expect(ran).toEqual([])
    expect(turns.waiting).toBe(1)
    turns.advance(gone)
    expect(ran).toEqual([])
    stack.end(inner, 'released')
    turns.advance(gone)
    expect(ran).toEqual(['a'])
    expect(await answer).toBe('a')
    expect(turns.waiting).toBe(0)
    expect(clocks[0]?.stopped).toBe(true)
  })

  test('comes in the order of the requests', async () => {
    const inner = stack.push(block('x'))
    const answers = ['a', 'b', 'c'].map((name) => take(root, name))
    stack.end(inner, 'released')
    turns.advance(gone)
    await Promise.all(answers)
    expect(ran).toEqual(['a', 'b', 'c'])
  })

  test('that opens a block makes the next one wait', async () => {
    const first = stack.push(block('x'))
    let second: Frame | undefined
    const opened = turns.run(root, () => {
      second = stack.push(block('y'))
      ran.push('opens')
      return Promise.resolve('opened')
    })
    const waiting = take(root, 'a')
    stack.end(first, 'released')
    turns.advance(gone)
    expect(await opened).toBe('opened')
    expect(ran).toEqual(['opens'])
    expect(turns.waiting).toBe(1)
    stack.end(second as Frame, 'released')
    turns.advance(gone)
    expect(await waiting).toBe('a')
  })

  test('of an inner frame does not wait for those of outer ones', async () => {
    const first = stack.push(block('x'))
    const second = stack.push(block('y'))
    const outer = take(root, 'outer')
    const middle = take(first, 'middle')
    stack.end(second, 'released')
    turns.advance(gone)
    expect(await middle).toBe('middle')
    expect(ran).toEqual(['middle'])
    stack.end(first, 'released')
    turns.advance(gone)
    expect(await outer).toBe('outer')
  })

  test('whose start fails rejects, and does not affect others', async () => {
    const inner = stack.push(block('x'))
    const failing = turns.run(root, () => Promise.reject(new Error('failed')))
    const other = take(root, 'a')
    stack.end(inner, 'released')
    turns.advance(gone)
    await expect(failing).rejects.toThrow('failed')
    expect(await other).toBe('a')
  })
})

describe('a frame that has ended', () => {
  test('rejects its waiters, each with its own frame', async () => {
    const first = stack.push(block('x'))
    stack.push(block('y'))
    const inFirst = take(first, 'a')
    const inRoot = take(root, 'b')
    stack.end(root, 'rolled-back')
    turns.advance(gone)
    await expect(inFirst).rejects.toThrow('x is gone')
    await expect(inRoot).rejects.toThrow('the transaction is gone')
    expect(ran).toEqual([])
    expect(turns.waiting).toBe(0)
    expect(clocks.map(({ stopped }) => stopped)).toEqual([true, true])
  })

  test('lets waiters of its parent go on', async () => {
    const first = stack.push(block('x'))
    stack.push(block('y'))
    const inFirst = take(first, 'a')
    const inRoot = take(root, 'b')
    stack.end(first, 'rolled-back')
    turns.advance(gone)
    await expect(inFirst).rejects.toThrow('x is gone')
    expect(await inRoot).toBe('b')
    expect(ran).toEqual(['b'])
  })
})

describe('a clock that has expired', () => {
  test('rejects the waiter, which then gets no turn', async () => {
    const inner = stack.push(block('x'))
    const first = take(root, 'a')
    const second = take(root, 'b')
    clocks[0]?.expire(new Error('too long'))
    await expect(first).rejects.toThrow('too long')
    expect(turns.waiting).toBe(1)
    stack.end(inner, 'released')
    turns.advance(gone)
    expect(await second).toBe('b')
    expect(ran).toEqual(['b'])
  })

  test('may be missing, if waits have no limit', async () => {
    turns = new Turns(stack, () => undefined)
    const inner = stack.push(block('x'))
    const answer = take(root, 'a')
    stack.end(inner, 'released')
    turns.advance(gone)
    expect(await answer).toBe('a')
  })
})

test('calls of advance() inside a turn lose no waiter', async () => {
  const inner = stack.push(block('x'))
  const nested = turns.run(root, () => {
    // This waiter ends another frame at once, and calls advance().
    const short = stack.push(block('y'))
    stack.end(short, 'released')
    turns.advance(gone)
    ran.push('nested')
    return Promise.resolve('nested')
  })
  const others = ['a', 'b', 'c'].map((name) => take(root, name))
  stack.end(inner, 'released')
  turns.advance(gone)
  await Promise.all([nested, ...others])
  expect(ran.toSorted()).toEqual(['a', 'b', 'c', 'nested'])
  expect(turns.waiting).toBe(0)
})
