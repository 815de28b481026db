import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { encoded } from '../../packages/bridge/src/protocol/control-messages.ts'

interface Speaker {
  parse(message: { text: string }): void
  bind(message: object): void
  execute(message: object): void
}

/** The bytes that pg writes. */
function asPg(text: string): Buffer {
  const written: Buffer[] = []
  const stream = {
    writable: true,
    on() {},
    write: (bytes: Buffer) => written.push(Buffer.from(bytes)),
  }
  const { Connection } = pg as unknown as { Connection: new (config: object) => Speaker }
  const connection = new Connection({ stream })
  connection.parse({ text })
  connection.bind({})
  connection.execute({})
  return Buffer.concat(written)
}

describe('a command without values', () => {
  const texts = ['begin', 'savepoint sp1', 'release savepoint "größer 👍"', '']

  test.each(texts)('%j is encoded as pg does', (text) => {
    expect(encoded(text)).toEqual(asPg(text))
  })

  test('is encoded once, but not cached for ever', () => {
    expect(encoded('begin')).toBe(encoded('begin'))
    const names = Array.from({ length: 200 }, (_, at) => `savepoint "${at}"`)
    for (const text of names) encoded(text)
    const last = names.at(-1) as string
    expect(encoded(last)).not.toBe(encoded(last))
    expect(encoded(last)).toEqual(asPg(last))
  })
})
