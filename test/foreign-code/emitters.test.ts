import { EventEmitter, once } from 'node:events'
import { TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'

const app = useApp()

/** An emitter whose listener writes each note, and the results of that. */
class Writer extends EventEmitter {
  readonly written: Promise<unknown>[] = []

  constructor(speaker: Speaker) {
    super()
    this.on('note', (text: string) => {
      this.written.push(Promise.resolve(speaker.note(app, text)))
    })
  }

  async write(text: string): Promise<void> {
    this.emit('note', text)
    await this.written.at(-1)
  }
}

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a listener runs in the context of emit(), wherever it was added', async () => {
    const before = new Writer(inner)
    let inside: Writer | undefined
    const failing = outer.block(app, async () => {
      inside = new Writer(inner)
      await before.write('a')
      await inside.write('b')
      expect(await app.rows()).toEqual([])
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    await inside?.write('after')
    expect(await app.rows()).toEqual(['after'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'insert b',
      'rollback',
      'insert after',
    ])
  })

  test('a listener that one transaction added runs in the transaction that emits', async () => {
    const [listening, emitted] = [gate(), gate()]
    let writer: Writer | undefined
    await Promise.all([
      outer.block(app, async () => {
        await outer.note(app, 'listener')
        writer = new Writer(outer)
        listening.open()
        await emitted.passed
      }),
      failureOf(
        inner.block(app, async () => {
          await listening.passed
          await writer?.write('of the emitter')
          emitted.open()
          throw new Error('boom')
        }),
      ),
    ])
    expect(await app.rows()).toEqual(['listener'])
  })

  test('code that awaits an event goes on in its own block', async () => {
    const emitter = new EventEmitter()
    const waiting = gate()
    await Promise.all([
      outer.block(app, async () => {
        const event = once(emitter, 'go')
        waiting.open()
        await event
        await inner.note(app, 'waiter')
      }),
      failureOf(
        inner.block(app, async () => {
          await waiting.passed
          await inner.note(app, 'emitter')
          emitter.emit('go')
          throw new Error('boom')
        }),
      ),
    ])
    expect(await app.rows()).toEqual(['waiter'])
  })

  test('an event that code of an ended transaction emits is refused', async () => {
    const writer = new Writer(inner)
    const ended = gate()
    let late: Promise<Error> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      late = ended.passed.then(() => failureOf(writer.write('leaked')))
    })
    ended.open()
    const error = (await late) as Error
    expect(error).toBeInstanceOf(TransactionClosedError)
    expect(error.message).toContain('emitters.test.ts')
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    expect(await app.rows()).toEqual(['a'])
  })
})
