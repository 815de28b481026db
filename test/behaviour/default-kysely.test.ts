import { drizzle } from 'drizzle-orm/node-postgres'
import { CamelCasePlugin } from 'kysely'
import { Pool } from 'pg'
import { shareConnection } from 'shared-connection'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const app = useApp()

interface Camel {
  note: { id: number; text: string }
  reply: { noteId: number; text: string }
}

test('the trx of shared.transaction() has the plugins and the log of the first Kysely database', async () => {
  const pool = new Pool({ connectionString: app.url })
  const logged: string[] = []
  const shared = shareConnection(drizzle({ client: pool }))
  const db = shared.kysely<Camel>({
    plugins: [new CamelCasePlugin()],
    log: ({ query }) => void logged.push(query.sql),
  })
  await db.shared.transaction(async ({ trx }) => {
    await trx.insertInto('note').values({ id: 1, text: 'a' }).execute()
    await trx.insertInto('reply').values({ noteId: 1, text: 'b' }).execute()
  })
  const { rows } = await app.observer.query('select note_id, text from reply')
  shared.dispose()
  await pool.end()
  expect(rows).toEqual([{ note_id: 1, text: 'b' }])
  expect(logged.filter((sql) => sql.includes('"note_id"'))).toHaveLength(1)
  expect(app.transcript.lines()).toEqual(['begin', 'insert 1 a', 'insert 1 b', 'commit'])
})
