import { describe, expect, test } from 'vitest'
import {
  InvalidArgumentError,
  NoTransactionError,
  TransactionClosedError,
} from '../../packages/bridge/src/errors.ts'
import type { HookKind } from '../../packages/bridge/src/transaction/hooks.ts'
import { registerHook } from '../../packages/bridge/src/transaction/register-hook.ts'
import { currentScope, Scope } from '../../packages/bridge/src/transaction/scope.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { block, scoped } from './make-frame.ts'

const KINDS = ['before-commit', 'after-commit', 'after-rollback', 'after-completion'] as const

function nested() {
  const stack = new TransactionStack()
  return { root: stack.push(scoped), inner: stack.push(block('sp1')) }
}

describe.each(KINDS)('%s', (kind: HookKind) => {
  test('belongs to the given frame', async () => {
    const { root, inner } = nested()
    await registerHook(
      kind,
      () => {},
      () => inner,
    )
    await registerHook(
      kind,
      () => {},
      () => inner,
      { scope: 'savepoint' },
    )
    expect(root.hooks.take(kind)).toHaveLength(0)
    expect(inner.hooks.take(kind)).toHaveLength(2)
  })

  test('of the transaction belongs to the outermost frame', async () => {
    const { root, inner } = nested()
    await registerHook(
      kind,
      () => {},
      () => inner,
      { scope: 'transaction' },
    )
    expect(root.hooks.take(kind)).toHaveLength(1)
    expect(inner.hooks.take(kind)).toHaveLength(0)
  })

  test('is called with the outcome, in the given scope', async () => {
    const { inner } = nested()
    const seen: unknown[] = []
    await registerHook(
      kind,
      (outcome) => seen.push(outcome, currentScope()),
      () => inner,
    )
    const link = new Scope(undefined, {}, 'block')
    await inner.hooks.take(kind)[0]?.run(link, 'unknown')
    expect(seen).toEqual(['unknown', link])
  })

  test('awaits the result of its function in the given scope', async () => {
    const { inner } = nested()
    const link = new Scope(undefined, {}, 'block')
    let stood: unknown
    // This is like a query builder, which runs where it is awaited.
    class Lazy extends Promise<string> {
      // oxlint-disable-next-line unicorn/no-thenable
      override then: Promise<string>['then'] = (...handlers) => {
        stood = currentScope()
        return Promise.resolve('done').then(...handlers)
      }
    }
    const lazy = new Lazy(() => {})
    await registerHook(
      kind,
      () => lazy,
      () => inner,
    )
    await inner.hooks.take(kind)[0]?.run(link, 'committed')
    expect(stood).toBe(link)
  })

  test.each(['committed', 'released', 'rolled-back', 'lost', 'unknown', 'ending'] as const)(
    'is refused on a frame that is %s',
    async (phase) => {
      const { inner } = nested()
      inner.phase = phase
      const refused = registerHook(
        kind,
        () => {},
        () => inner,
      )
      await expect(refused).rejects.toBeInstanceOf(TransactionClosedError)
      expect(inner.hooks.take(kind)).toEqual([])
    },
  )

  test('is accepted on an aborted frame, which will be rolled back', async () => {
    const { inner } = nested()
    inner.abort(new Error('boom'))
    await registerHook(
      kind,
      () => {},
      () => inner,
    )
    expect(inner.hooks.take(kind)).toHaveLength(1)
  })

  test('is refused before the frame is looked up, if it is no function', async () => {
    const asked = () => expect.unreachable('the frame was looked up')
    const refused = registerHook(kind, 'text' as never, asked)
    await expect(refused).rejects.toBeInstanceOf(InvalidArgumentError)
  })

  test('outside a transaction runs now if it waits for a commit', async () => {
    const outcomes: unknown[] = []
    await registerHook(
      kind,
      (outcome) => outcomes.push(outcome),
      () => undefined,
    )
    expect(outcomes).toEqual(kind.endsWith('-commit') ? ['committed'] : [])
  })

  test('outside a transaction is refused on request', async () => {
    const refused = registerHook(
      kind,
      () => {},
      () => undefined,
      { outside: 'throw' },
    )
    await expect(refused).rejects.toBeInstanceOf(NoTransactionError)
  })
})
