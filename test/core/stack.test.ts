import { beforeEach, describe, expect, test } from 'vitest'
import type { Frame } from '../../packages/bridge/src/transaction/frame.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { block, mark, scoped } from './make-frame.ts'

let stack: TransactionStack
beforeEach(() => {
  stack = new TransactionStack()
})

const names = (frames: readonly Frame[]) => frames.map(({ name }) => name)

describe('a stack', () => {
  test('is empty at first', () => {
    expect(stack.frames).toEqual([])
    expect(stack.root).toBeUndefined()
    expect(stack.top).toBeUndefined()
    expect(stack.find('sp1')).toBeUndefined()
  })

  test('opens frames one inside the other', () => {
    const root = stack.push(scoped)
    const first = stack.push(block('sp1'))
    const second = stack.push(mark('sp2'))
    expect(stack.frames).toEqual([root, first, second])
    expect([root.depth, first.depth, second.depth]).toEqual([1, 2, 3])
    expect([root.parent, first.parent, second.parent]).toEqual([undefined, root, first])
    expect([root.kind, first.kind, second.kind]).toEqual(['transaction', 'savepoint', 'savepoint'])
    expect(second.root).toBe(root)
    expect(stack.root).toBe(root)
    expect(stack.top).toBe(second)
  })

  test('makes a unique id for each frame, also across stacks', () => {
    const other = new TransactionStack()
    const ids = [stack.push(scoped), stack.push(block('x')), other.push(scoped)].map(({ id }) => id)
    expect(new Set(ids).size).toBe(3)
  })

  test('can be used again once it is empty', () => {
    const first = stack.push(scoped)
    stack.end(first, 'committed')
    const second = stack.push(scoped)
    expect(second.depth).toBe(1)
    expect(second.parent).toBeUndefined()
    expect(stack.frames).toEqual([second])
  })
})

describe('end', () => {
  test.each(['committed', 'rolled-back', 'lost', 'unknown'] as const)(
    'of the outermost frame ends all inside it as %s, innermost first',
    (state) => {
      const root = stack.push(scoped)
      const frames = [root, stack.push(block('a')), stack.push(mark('b'))]
      const ended = stack.end(root, state)
      expect(ended).toEqual(frames.toReversed())
      expect(frames.map((frame) => frame.state)).toEqual([state, state, state])
      expect(frames.every((frame) => frame.ended)).toBe(true)
      expect(stack.frames).toEqual([])
    },
  )

  test('of a savepoint leaves its parent open', () => {
    const root = stack.push(scoped)
    const first = stack.push(block('a'))
    const second = stack.push(block('b'))
    expect(names(stack.end(first, 'released'))).toEqual(['b', 'a'])
    expect(stack.frames).toEqual([root])
    expect([root.state, first.state, second.state]).toEqual(['open', 'released', 'released'])
  })

  test('of a frame that is not on the stack does nothing', () => {
    const root = stack.push(scoped)
    const first = stack.push(block('a'))
    stack.end(first, 'released')
    const second = stack.push(block('b'))
    expect(stack.end(first, 'rolled-back')).toEqual([])
    expect(first.state).toBe('released')
    expect(stack.frames).toEqual([root, second])
    const foreign = new TransactionStack().push(scoped)
    expect(stack.end(foreign, 'lost')).toEqual([])
    expect(foreign.state).toBe('open')
  })

  test('moves the hooks of inner frames to the frame that was ended, in order', () => {
    const ran: string[] = []
    const hook = (what: string) => ({
      kind: 'after-rollback' as const,
      run: () => void ran.push(what),
    })
    const root = stack.push(scoped)
    root.hooks.add(hook('root'))
    const first = stack.push(block('a'))
    first.hooks.add(hook('a'))
    stack.push(block('b')).hooks.add(hook('b'))
    stack.end(first, 'rolled-back')
    for (const due of first.hooks.takeDue('rolled-back')) void due.run(undefined, 'rolled-back')
    expect(ran).toEqual(['a', 'b'])
    expect(root.hooks.takeDue('rolled-back')).toHaveLength(1)
  })
})

describe('endInside', () => {
  test('ends the frames inside a frame, which stays open', () => {
    const root = stack.push(scoped)
    const first = stack.push(mark('a'))
    stack.push(block('b'))
    stack.push(mark('c'))
    expect(names(stack.endInside(first, 'rolled-back'))).toEqual(['c', 'b'])
    expect(stack.frames).toEqual([root, first])
    expect(first.state).toBe('open')
  })

  test('does nothing if no frame is inside, or the frame has ended', () => {
    const root = stack.push(scoped)
    expect(stack.endInside(root, 'rolled-back')).toEqual([])
    const first = stack.push(block('a'))
    stack.end(first, 'released')
    stack.push(block('b'))
    expect(stack.endInside(first, 'rolled-back')).toEqual([])
    expect(stack.frames).toHaveLength(2)
  })

  test('moves the hooks of the inner frames to it', () => {
    const root = stack.push(scoped)
    stack.push(block('a')).hooks.add({ kind: 'after-rollback', run: () => {} })
    stack.push(block('b')).hooks.add({ kind: 'after-rollback', run: () => {} })
    stack.endInside(root, 'rolled-back')
    expect(root.hooks.takeDue('rolled-back')).toHaveLength(2)
  })
})

describe('isFree', () => {
  test('is true for a frame in which no block is open', () => {
    const root = stack.push(scoped)
    expect(stack.isFree(root)).toBe(true)
    const inner = stack.push(block('a'))
    expect(stack.isFree(root)).toBe(false)
    expect(stack.isFree(inner)).toBe(true)
    stack.end(inner, 'released')
    expect(stack.isFree(root)).toBe(true)
    expect(stack.isFree(inner)).toBe(false)
  })

  test('is true with manual savepoints inside, which do not block', () => {
    const root = stack.push(scoped)
    const first = stack.push(mark('a'))
    const second = stack.push(mark('b'))
    expect([root, first, second].map((frame) => stack.isFree(frame))).toEqual([true, true, true])
    const inner = stack.push(block('c'))
    expect([root, first, second, inner].map((frame) => stack.isFree(frame))).toEqual([
      false,
      false,
      false,
      true,
    ])
  })
})

describe('innermostOf', () => {
  test('is the innermost manual savepoint in a frame, up to the first block', () => {
    const root = stack.push(scoped)
    expect(stack.innermostOf(root)).toBe(root)
    const first = stack.push(mark('a'))
    const second = stack.push(mark('b'))
    expect(stack.innermostOf(root)).toBe(second)
    expect(stack.innermostOf(first)).toBe(second)
    const inner = stack.push(block('c'))
    stack.push(mark('d'))
    expect(stack.innermostOf(root)).toBe(second)
    expect(stack.innermostOf(inner).name).toBe('d')
  })
})

describe('names', () => {
  test('find the innermost savepoint, as the server does', () => {
    stack.push(scoped)
    const first = stack.push(mark('a'))
    const second = stack.push(mark('a'))
    expect(stack.find('a')).toBe(second)
    stack.end(second, 'released')
    expect(stack.find('a')).toBe(first)
    expect(stack.find('A')).toBeUndefined()
  })

  test('are chosen as requested if they are free, else with a number', () => {
    stack.push(scoped)
    expect(stack.freeName('a')).toBe('a')
    stack.push(mark('a'))
    expect(stack.freeName('a')).toBe('a_2')
    stack.push(mark('a_2'))
    expect(stack.freeName('a')).toBe('a_3')
    expect(stack.freeName('b')).toBe('b')
    stack.end(stack.find('a') as Frame, 'released')
    expect(stack.freeName('a')).toBe('a')
  })
})
