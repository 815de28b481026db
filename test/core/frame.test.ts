import { beforeEach, describe, expect, test } from 'vitest'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { block, scoped } from './make-frame.ts'

let stack: TransactionStack
beforeEach(() => {
  stack = new TransactionStack()
})

describe('a frame', () => {
  test('is inside itself and the frames around it, and no others', () => {
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

  test('has the modes of its parent, unless it has its own', () => {
    stack.push({ ...scoped, modes: { isolationLevel: 'serializable', deferrable: true } })
    const inner = stack.push({ ...block('a'), modes: { accessMode: 'read only' } })
    expect(inner.modes).toEqual({
      isolationLevel: 'serializable',
      accessMode: 'read only',
      deferrable: true,
    })
    expect(stack.root?.modes.accessMode).toBeUndefined()
    const innermost = stack.push({ ...block('b'), modes: { accessMode: undefined } as object })
    expect(innermost.modes.accessMode).toBe('read only')
  })

  test.each([
    ['released', 'open', 'released'],
    ['released', 'committed', 'released'],
    ['released', 'rolled-back', 'rolled-back'],
    ['released', 'lost', 'lost'],
    ['released', 'unknown', 'unknown'],
    ['rolled-back', 'committed', 'rolled-back'],
    ['open', 'open', 'open'],
  ] as const)('that is %s in one that is %s is for good %s', (phase, around, finalState) => {
    const root = stack.push(scoped)
    const inner = stack.push(block('a'))
    inner.phase = phase
    root.phase = around
    expect(inner.finalState).toBe(finalState)
  })

  test('records the first error that aborted it, and none after its end', () => {
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
    root.transition('end')
    root.abort('error')
    expect(root).toMatchObject({ state: 'ending', failure: 'error' })
  })

  test('is ending while COMMIT is in flight', () => {
    const root = stack.push(scoped)
    root.transition('end')
    root.transition('commit')
    expect(root).toMatchObject({ phase: 'committing', state: 'ending', ended: false })
  })

  test('is rolled back because of the first block that failed in it, rather than on request', () => {
    const root = stack.push(scoped)
    root.rollbackOnly = 'requested'
    root.markRollbackOnly('first')
    root.markRollbackOnly('second')
    expect(root.rollbackOnly).toEqual({ cause: 'first' })
  })

  test('starts again after ROLLBACK TO, with the modes of its parent', () => {
    stack.push({ ...scoped, modes: { isolationLevel: 'serializable' } })
    const inner = stack.push({ ...block('a'), modes: { accessMode: 'read only' } })
    inner.abort('error')
    inner.restart()
    expect(inner).toMatchObject({ state: 'open', failure: undefined, rollbackCount: 1 })
    expect(inner.modes).toEqual({ isolationLevel: 'serializable' })
  })
})
