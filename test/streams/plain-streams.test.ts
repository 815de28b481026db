import { isSharedConnectionError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

// The pool would end the wait only by its own timeout, and could not name the cause.
const app = useApp({
  pool: { max: 1, connectionTimeoutMillis: 1000 },
  shared: { turnTimeout: 60 },
})

describe.each(speakers)('outside a transaction, on a pool of one', (speaker) => {
  test(`a stream whose consumer waits for ${speaker.name} is not a deadlock: the wait is refused, and it goes on`, async () => {
    await app.observer.query(`insert into note (text) values ('a'), ('b')`)
    const seen: string[] = []
    const refused: Error[] = []
    const stream = app.db.selectFrom('note').select('text').orderBy('id').stream(1)
    for await (const { text } of stream) {
      seen.push(text)
      refused.push(await failureOf(speaker.block(app, () => speaker.note(app, `${text}2`))))
    }
    expect(seen).toEqual(['a', 'b'])
    expect(refused.map((error) => isSharedConnectionError(error))).toEqual([true, true])
    for (const { message } of refused) {
      // the places of the wait and of the stream
      expect((message.match(/plain-streams\.test\.ts/g) ?? []).length).toBeGreaterThanOrEqual(2)
    }
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines().filter((line) => line.startsWith('insert'))).toEqual([])
  })

  test(`a stream that is left early gives its client to ${speaker.name}`, async () => {
    await app.observer.query(`insert into note (text) values ('a'), ('b')`)
    for await (const { text } of app.db.selectFrom('note').select('text').stream(1)) {
      expect(text).toBe('a')
      break
    }
    await speaker.block(app, () => speaker.note(app, 'c'))
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })
})
