import { beforeEach, describe, expect, test } from 'vitest'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { block, scoped } from './make-frame.ts'

let stack: TransactionStack
beforeEach(() => {
  stack = new TransactionStack()
})

describe('a frame', () => {
  test('is inside itself and what is around it, and nothing else', () => {
    const root = stack.push(scoped)
    const first = stack.push(block('a'))
    const second = stack.push(block('b'))
    expect(second.isInside(root)).toBe(true)
    expect(second.isInside(first)).toBe(true)
    expect(second.isInside(second)).toBe(true)
    expect(first.isInside(second)).toBe(false)
    expect(root.isInside(first)).toBe(false)
    expect(second.isInside(new TransactionStack().push(scoped))).toBe(false)
    stack.end(first, 'released')
    const sibling = stack.push(block('c'))
    expect(sibling.isInside(first)).toBe(false)
    expect(second.isInside(first)).toBe(true)
  })

  test('has the modes of what is around it, unless it has its own', () => {
    stack.push({ ...scoped, modes: { isolationLevel: 'serializable', deferrable: true } })
    const inner = stack.push({ ...block('a'), modes: { accessMode: 'read only' } })
    expect(inner).toMatchObject({
      isolationLevel: 'serializable',
      accessMode: 'read only',
      deferrable: true,
    })
    expect(stack.root?.accessMode).toBeUndefined()
  })

  test.each([
    ['open', false],
    ['ending', false],
    ['aborted', false],
    ['committed', true],
    ['released', true],
    ['rolled-back', true],
    ['lost', true],
    ['unknown', true],
  ] as const)('that is %s has ended: %s', (state, ended) => {
    const frame = stack.push(scoped)
    frame.state = state
    expect(frame.ended).toBe(ended)
  })

  test.each([
    ['released', 'open', 'released'],
    ['released', 'committed', 'released'],
    ['released', 'rolled-back', 'rolled-back'],
    ['released', 'lost', 'lost'],
    ['released', 'unknown', 'unknown'],
    ['rolled-back', 'committed', 'rolled-back'],
    ['open', 'open', 'open'],
  ] as const)('that is %s in one that is %s has the fate %s', (state, around, finalState) => {
    const root = stack.push(scoped)
    const inner = stack.push(block('a'))
    inner.state = state
    root.state = around
    expect(inner.finalState).toBe(finalState)
  })

  test('keeps the first error that aborted it, and none once it has ended', () => {
    const root = stack.push(scoped)
    root.abort('first')
    root.abort('second')
    expect(root).toMatchObject({ state: 'aborted', failure: 'first' })
    const inner = stack.push(block('a'))
    stack.end(inner, 'released')
    inner.abort('late')
    expect(inner).toMatchObject({ state: 'released', failure: undefined })
  })

  test('that is ending stays so when it is aborted', () => {
    const root = stack.push(scoped)
    root.state = 'ending'
    root.abort('error')
    expect(root).toMatchObject({ state: 'ending', failure: 'error' })
  })

  test('is given up when it is doomed, or when its user wants it rolled back', () => {
    const root = stack.push(scoped)
    expect(root.isRollbackOnly).toBe(false)
    root.rollsBackOnExit = true
    expect(root.isRollbackOnly).toBe(true)
    const inner = stack.push(block('a'))
    expect(inner.isRollbackOnly).toBe(false)
    inner.rollbackOnly = { cause: undefined }
    expect(inner.isRollbackOnly).toBe(true)
  })
})
