import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { fatesOf } from '../setup/outcomes.ts'

// Un-awaited statements leave in the order of their calls: what stands in front of BEGIN is outside.

describe.each([
  { name: 'riding', lazy: true },
  { name: 'not riding', lazy: false },
])('$name,', ({ lazy }) => {
  const app = useApp({ pool: { max: 1 }, shared: { lazy } })

  test.each([
    { kind: 'a statement', query: { text: `insert into note (text) values ('a')` } },
    {
      kind: 'a prepared statement',
      query: { name: 'a', text: `insert into note (text) values ('a')` },
    },
  ])(
    '$kind that is under way when BEGIN is sent by hand is outside, and keeps its answer',
    async ({ query }) => {
      const client = await app.pool.connect()
      const sent = [
        client.query(query),
        client.query('begin'),
        client.query(`insert into note (text) values ('b')`),
      ]
      const fates = await fatesOf(sent)
      await client.query('rollback').catch(() => undefined)
      client.release()
      expect(fates).toEqual(['done', 'done', 'done'])
      expect(app.transcript.lines()).toEqual(['insert', 'begin', 'insert', 'rollback'])
      expect(await app.rows()).toEqual(['a'])
    },
  )
})
