import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  ambientFrame,
  captureContext,
  currentScope,
  isUnder,
  Scope,
  runIn,
} from '../../packages/bridge/src/transaction/scope.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { scoped } from './make-frame.ts'

const database = { name: 'one' }
const other = { name: 'two' }
const frameOf = () => new TransactionStack().push(scoped)

describe('the chain', () => {
  test('is that of the running code, after each await, too', async () => {
    const link = new Scope(undefined, database, 'block')
    expect(currentScope()).toBeUndefined()
    await runIn(link, async () => {
      expect(currentScope()).toBe(link)
      await setImmediate()
      expect(currentScope()).toBe(link)
    })
    expect(currentScope()).toBeUndefined()
  })

  test('is not seen by parallel branches', async () => {
    const branch = async (name: string) => {
      const link = new Scope(currentScope(), database, 'block')
      return runIn(link, async () => {
        await setImmediate()
        expect(currentScope()).toBe(link)
        return name
      })
    }
    expect(await Promise.all([branch('a'), branch('b')])).toEqual(['a', 'b'])
    expect(currentScope()).toBeUndefined()
  })

  test('can be left for a while', () => {
    runIn(new Scope(undefined, database, 'block'), () => {
      expect(runIn(undefined, currentScope)).toBeUndefined()
      expect(currentScope()).toBeDefined()
    })
  })
})

describe('the ambient frame', () => {
  test('is that of the innermost scope that has one', () => {
    const outer = new Scope(undefined, database, 'block', undefined, frameOf())
    const without = new Scope(outer, database, 'block')
    const via = new Scope(without, database, 'request', {})
    expect(ambientFrame(via, database)).toBe(outer.frame)
    const inner = new Scope(via, database, 'block', undefined, frameOf())
    expect(ambientFrame(inner, database)).toBe(inner.frame)
  })

  test('appears when the begin of the block has set it', () => {
    const link = new Scope(undefined, database, 'block')
    expect(ambientFrame(link, database)).toBeUndefined()
    link.frame = frameOf()
    expect(ambientFrame(link, database)).toBe(link.frame)
  })

  test('is separate for each database', () => {
    const first = new Scope(undefined, database, 'block', undefined, frameOf())
    const second = new Scope(first, other, 'block', undefined, frameOf())
    const left = new Scope(second, other, 'outside')
    expect(ambientFrame(second, database)).toBe(first.frame)
    expect(ambientFrame(second, other)).toBe(second.frame)
    expect(ambientFrame(left, other)).toBeUndefined()
    expect(ambientFrame(left, database)).toBe(first.frame)
  })

  test('is undefined outside, until a block is opened there', () => {
    const outer = new Scope(undefined, database, 'block', undefined, frameOf())
    const left = new Scope(outer, database, 'outside')
    expect(ambientFrame(left, database)).toBeUndefined()
    const inner = new Scope(left, database, 'block', undefined, frameOf())
    expect(ambientFrame(inner, database)).toBe(inner.frame)
    expect(ambientFrame(undefined, database)).toBeUndefined()
  })
})

test('isUnder is true for a scope itself and for the scopes inside it', () => {
  const outer = new Scope(undefined, database, 'block')
  const inner = new Scope(outer, other, 'request')
  expect(isUnder(inner, outer)).toBe(true)
  expect(isUnder(outer, outer)).toBe(true)
  expect(isUnder(outer, inner)).toBe(false)
  expect(isUnder(undefined, outer)).toBe(false)
})

describe('a captured context', () => {
  const request = new AsyncLocalStorage<string>()

  test('is that of the registration, with the given chain', async () => {
    const inside = new Scope(undefined, database, 'block')
    const around = new Scope(undefined, database, 'block')
    const run = request.run('registered', () => runIn(inside, () => captureContext()))
    await request.run('caller', () =>
      run(around, async () => {
        expect([request.getStore(), currentScope()]).toEqual(['registered', around])
        await setImmediate()
        expect([request.getStore(), currentScope()]).toEqual(['registered', around])
      }),
    )
  })

  test('can have no chain at all', () => {
    const run = runIn(new Scope(undefined, database, 'block'), () => captureContext())
    runIn(new Scope(undefined, database, 'block'), () => {
      expect(run(undefined, currentScope)).toBeUndefined()
    })
  })
})
