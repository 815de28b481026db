import { beforeEach, describe, expect, test } from 'vitest'
import type { Frame } from '../../packages/bridge/src/transaction/frame.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import type { DeferredCommand } from '../../packages/bridge/src/wire/deferred-command.ts'
import { QueueEntry } from '../../packages/bridge/src/wire/queue-entry.ts'
import { SendQueue } from '../../packages/bridge/src/wire/send-queue.ts'
import { Statement } from '../../packages/bridge/src/wire/statement.ts'
import { block, scoped } from './make-frame.ts'

let queue: SendQueue
let root: Frame
let inner: Frame

beforeEach(() => {
  const stack = new TransactionStack()
  queue = new SendQueue()
  root = stack.push(scoped)
  inner = stack.push(block('sp1'))
})

function entryOf(text: string, frame: Frame | undefined = root): QueueEntry {
  return new QueueEntry(frame, { statement: new Statement('pg', text) }, undefined, true)
}

function push(text: string, frame?: Frame): QueueEntry {
  const entry = entryOf(text, frame)
  queue.push(entry)
  return entry
}

function defer(op: DeferredCommand['op'], frame: Frame): void {
  queue.defer({ op, sql: op, frame })
}

/** All that the queue gives out, each entry behind its deferred commands. */
function sent(): string[] {
  const texts: string[] = []
  for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
    texts.push(...entry.deferred.map(({ sql }) => sql), entry.statement?.text ?? '')
  }
  return texts
}

describe('a deferred command', () => {
  test('goes in front of the next entry, and of no other', () => {
    push('select 1')
    defer('begin', root)
    defer('savepoint', inner)
    push('select 2')
    push('select 3')
    expect(sent()).toEqual(['select 1', 'begin', 'savepoint', 'select 2', 'select 3'])
  })

  test('goes to the entry behind when its own is removed', () => {
    defer('begin', root)
    const removed = push('select 1')
    defer('savepoint', inner)
    push('select 2')
    expect(queue.remove(removed)).toBe(true)
    expect(queue.remove(removed)).toBe(false)
    expect(sent()).toEqual(['begin', 'savepoint', 'select 2'])
  })

  test('waits for another entry when the last one is removed', () => {
    defer('begin', root)
    queue.remove(push('select 1'))
    defer('savepoint', inner)
    push('select 2')
    expect(sent()).toEqual(['begin', 'savepoint', 'select 2'])
  })

  test('comes back in front of all when nothing was written', () => {
    defer('begin', root)
    const refused = push('select 1')
    defer('savepoint', inner)
    push('select 2')
    queue.shift()
    queue.putBack(refused.deferred, [])
    expect(sent()).toEqual(['begin', 'savepoint', 'select 2'])
  })

  test('comes back with the entries that were behind it', () => {
    defer('begin', root)
    const refused = push('select 1')
    push('select 2')
    push('select 3')
    queue.shift()
    queue.putBack(refused.deferred, queue.shiftPipelinable())
    expect(sent()).toEqual(['begin', 'select 2', 'select 3'])
  })
})

describe('the command that opens a frame', () => {
  test('is forgotten with all that is deferred behind it', () => {
    defer('begin', root)
    defer('savepoint', inner)
    defer('release', inner)
    expect(queue.holdsOpening(inner)).toBe(true)
    expect(queue.forget(inner)).toBe(true)
    expect(queue.holdsOpening(inner)).toBe(false)
    push('select 1')
    expect(sent()).toEqual(['begin', 'select 1'])
  })

  test('is not forgotten behind the back of an entry', () => {
    defer('begin', root)
    push('select 1')
    expect(queue.holdsOpening(root)).toBe(true)
    expect(queue.forget(root)).toBe(false)
    expect(sent()).toEqual(['begin', 'select 1'])
    expect(queue.holdsOpening(root)).toBe(false)
  })
})

test('only the last RELEASE commands are dropped', () => {
  defer('release', inner)
  push('select 1')
  defer('release', inner)
  defer('release', inner)
  queue.dropReleases(root)
  push('select 2')
  expect(sent()).toEqual(['release', 'select 1', 'select 2'])
})

test('a frame is dropped with its commands, and those of others remain', () => {
  defer('begin', root)
  defer('savepoint', inner)
  const dropped = push('select 1', inner)
  defer('release', inner)
  push('select 2')
  expect(queue.hasEntriesOf(inner)).toBe(true)
  expect(queue.drop(inner)).toEqual([dropped])
  expect(queue.hasEntriesOf(inner)).toBe(false)
  expect(sent()).toEqual(['begin', 'select 2'])
})

describe('entries are pipelined', () => {
  test('up to the first with a command in front', () => {
    const first = push('select 1')
    push('select 2')
    defer('savepoint', inner)
    push('select 3')
    expect(queue.shift()).toBe(first)
    expect(queue.shiftPipelinable().map(({ statement }) => statement?.text)).toEqual(['select 2'])
    expect(sent()).toEqual(['savepoint', 'select 3'])
  })

  test.each(['commit', 'select 2; select 3', 'copy note from stdin', 'discard all'])(
    'up to %j',
    (text) => {
      push('select 1')
      queue.shift()
      push(text)
      expect(queue.shiftPipelinable()).toEqual([])
      expect(sent()).toEqual([text])
    },
  )

  test('only inside a transaction', () => {
    const outside = new QueueEntry(
      undefined,
      { statement: new Statement('pg', '') },
      undefined,
      true,
    )
    expect(outside.isPipelinable).toBe(false)
    expect(entryOf('select 1').isPipelinable).toBe(true)
  })
})

test('nothing is given out while a batch is collected', async () => {
  let released = 0
  const collector = queue.collect(root, () => released++)
  const isQueued = await collector.start(async () => void push('select 1'))
  const isSent = await collector.start(() => Promise.resolve())
  expect([isQueued, isSent]).toEqual([true, false])
  expect([queue.isCollecting, sent()]).toEqual([true, []])
  collector.release()
  expect([queue.isCollecting, released, sent()]).toEqual([false, 1, ['select 1']])
})

test('a batch is whole until a statement comes that cannot be pipelined', () => {
  const collector = queue.collect(inner, () => {})
  push('select 1', inner)
  push('discard all', root)
  expect(collector.isWhole).toBe(true)
  push('discard all', inner)
  expect(collector.isWhole).toBe(false)
})
