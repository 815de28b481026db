import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

// The server often, but not always, sends the error in a packet before that of ReadyForQuery, which
// reports the status of the transaction: hence many tries.
const tries = Array.from({ length: 30 }, (_, n) => n)
const BROKEN = 'begin; select 1/0'

test('a text that fails in its own transaction does not leave that to the next user of the client', async () => {
  for (const n of tries) {
    expect(await failureOf(app.pool.query(BROKEN))).toMatchObject({ code: '22012' })
    await app.pool.query('insert into note (text) values ($1)', [String(n)])
  }
  expect(await app.rows()).toEqual(tries.map(String))
  expect(app.transcript.lines()).toEqual(tries.flatMap((n) => [BROKEN, `insert ${n}`]))
})

test.each(speakers)(
  'a client that is given back right after such an error is not given to a transaction of $name',
  async (speaker) => {
    for (const n of tries) {
      const client = await app.pool.connect()
      expect(await failureOf(client.query(BROKEN))).toMatchObject({ code: '22012' })
      client.release()
      await speaker.block(app, () => speaker.note(app, String(n)))
    }
    expect(await app.rows()).toEqual(tries.map(String))
    expect(app.transcript.lines().slice(-3)).toEqual(['begin', 'insert 29', 'commit'])
  },
)
