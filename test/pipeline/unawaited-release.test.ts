import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'

const write = `insert into note (text) values ('a')`

describe.each([
  { name: 'riding', lazy: true },
  { name: 'not riding', lazy: false },
])('$name, a RELEASE by hand that nobody awaits', ({ lazy }) => {
  const app = useApp({ pool: { max: 1 }, shared: { lazy } })

  async function answersTo(texts: readonly string[]): Promise<string[]> {
    const client = await app.pool.connect()
    const answers = texts.map((text) =>
      client.query(text).then(
        ({ command }) => command,
        (error: Error & { code?: string }) => error.code ?? error.name,
      ),
    )
    const all = await Promise.all(answers)
    client.release()
    return all
  }

  test('is answered by its own tag', async () => {
    const answers = await answersTo(['begin', write, 'savepoint s', 'release s', 'commit'])
    expect(answers).toEqual(['BEGIN', 'INSERT', 'SAVEPOINT', 'RELEASE', 'COMMIT'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('is not overtaken by the ROLLBACK TO behind it', async () => {
    const texts = ['begin', 'savepoint s', write, 'release s', 'rollback to s', 'rollback']
    const answers = await answersTo(texts)
    // as plain pg: there is no such savepoint any more
    expect(answers).toEqual(['BEGIN', 'SAVEPOINT', 'INSERT', 'RELEASE', '3B001', 'ROLLBACK'])
    expect(app.transcript.lines()).not.toContain('rollback to savepoint "s"')
    expect(await app.rows()).toEqual([])
  })
})
