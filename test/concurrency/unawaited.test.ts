import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError, TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { useApp } from '../setup/app.ts'
import { worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp()

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('COMMIT waits for a nested block that nobody awaited', async () => {
    let nested: Promise<unknown> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      const opened = gate()
      nested = inner.block(app, async () => {
        opened.open()
        await inner.note(app, 'n1')
        await setImmediate()
        await inner.note(app, 'n2')
      })
      await opened.passed
    })
    expect(await outcomes([nested])).toEqual(['fulfilled'])
    expect(await app.rows()).toEqual(['p', 'n1', 'n2'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert p',
      'savepoint sp1',
      'insert n1',
      'insert n2',
      'commit',
    ])
  })

  test('a statement that nobody awaited is sent before COMMIT', async () => {
    let forgotten: PromiseLike<unknown> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      forgotten = Promise.resolve(inner.note(app, 'n'))
      await setImmediate()
    })
    await forgotten
    expect(await app.rows()).toEqual(['p', 'n'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert p', 'insert n', 'commit'])
  })

  test('a failing statement that nobody awaited fails the transaction', async () => {
    let forgotten: Promise<string[]> | undefined
    const error = await outer
      .block(app, async () => {
        await outer.note(app, 'p')
        forgotten = outcomes([inner.note(app, 'p')])
        await setImmediate()
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect((error as Error).cause).toMatchObject({ code: '23505' })
    expect((await forgotten)?.[0]).not.toBe('fulfilled')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert p', 'insert p', 'commit'])
  })

  test('ROLLBACK does not wait: it closes the nested block, whose next statement is refused', async () => {
    const boom = new Error('boom')
    const goOn = gate()
    let nested: Promise<unknown> | undefined
    let refused: Promise<Error> | undefined
    const failing = outer.block(app, async () => {
      const opened = gate()
      nested = inner.block(app, async () => {
        await inner.note(app, 'n1')
        opened.open()
        await goOn.passed
        refused = failureOf(Promise.resolve(inner.note(app, 'n2')))
        await refused
      })
      await opened.passed
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    goOn.open()
    expect(await outcomes([nested])).not.toEqual(['fulfilled'])
    expect(await refused).toBeInstanceOf(TransactionClosedError)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert n1', 'rollback'])
  })

  test('a nested block that is opened while the parent is ending is refused', async () => {
    const committing = gate()
    let late: Promise<Error> | undefined
    let nested: Promise<unknown> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      const opened = gate()
      nested = inner.block(app, async () => {
        opened.open()
        await committing.passed
      })
      late = committing.passed.then(() => failureOf(inner.block(app, () => Promise.resolve())))
      await opened.passed
      // the block returns, and COMMIT waits for the nested one
      void setImmediate().then(() => setImmediate().then(() => committing.open()))
    })
    await nested
    expect(await late).toBeInstanceOf(TransactionClosedError)
    expect(await app.rows()).toEqual(['p'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert p', 'commit'])
  })
})
