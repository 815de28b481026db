import { accounts } from '../schema.ts'
import { chapter, claim, logged, program, say } from './stage.ts'
import type { Shop } from './shop.ts'

export async function connection(shop: Shop): Promise<void> {
  chapter('One connection')
  say('During a transaction, we ask PostgreSQL for its connections:')
  program(look)

  const connections = await look(shop)

  const [only] = connections
  const processes = new Set((await logged()).map((event) => event.processID))
  say()
  claim(
    `pg_stat_activity lists ${connections.length}: process ${only?.pid}, ${only?.state}`,
    connections.length === 1 && only?.state === 'idle in transaction',
  )
  claim(
    'Every statement since chapter 2 used that process',
    processes.size === 1 && processes.has(only?.pid),
  )
}

async function look({ orm, db, observer }: Shop) {
  return orm.transaction(async (tx) => {
    await tx.select().from(accounts)
    await db.selectFrom('profiles').selectAll().execute()
    return observer.connections()
  })
}
