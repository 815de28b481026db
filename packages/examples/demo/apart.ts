import { chapter, claim, program, say, whisper } from './stage.ts'
import { type Observer, openTwoPools, signUp } from './shop.ts'

export async function apart(url: string, observer: Observer): Promise<void> {
  chapter('Two layers, two pools')
  say('Drizzle inserts an account, and Kysely the profile of that account:')
  program(signUp)

  const { orm, db } = openTwoPools(url)
  const failure = await signUp(orm, db, 'ada@example.com').then(() => undefined, errorOf)
  const connections = await observer.connections()
  await Promise.all([orm.$client.end(), db.destroy()])

  say()
  whisper(failure?.message ?? 'nothing has failed')
  claim('The foreign key fails: Kysely cannot see the account', failure?.code === '23503')
  claim(`PostgreSQL sees ${connections.length} connections`, connections.length === 2)
  claim('Nobody has signed up', (await observer.emails()).length === 0)
}

function errorOf(error: unknown): { message: string; code?: string } {
  return error as Error & { code?: string }
}
