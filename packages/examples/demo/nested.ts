import { accounts, audit } from '../schema.ts'
import { chapter, claim, logged, program, say } from './stage.ts'
import type { Shop } from './shop.ts'

export async function nested(shop: Shop): Promise<void> {
  chapter('Blocks of both layers, inside each other')
  say(
    'The outermost block is the transaction, the others are savepoints. No handle is passed around:',
  )
  program(threeDeep)

  const events = await logged(() => threeDeep(shop))

  const entries = await shop.observer.entries()
  const savepoints = events.filter(({ control }) => control === 'savepoint')
  say()
  claim('Every row is there', entries.join() === 'by Kysely,by Drizzle')
  claim(
    'The last one was written at depth 3',
    events.some((event) => event.depth === 3),
  )
  claim(
    `The ${savepoints.length} savepoints cost no round trip of their own`,
    savepoints.length > 0 && savepoints.every(({ piggybacked }) => piggybacked),
  )
}

async function threeDeep({ orm, db }: Shop): Promise<void> {
  await orm.transaction(async (tx) => {
    await tx.insert(accounts).values({ email: 'grace@example.com' })
    await db.transaction().execute(async (trx) => {
      await trx.insertInto('audit').values({ entry: 'by Kysely' }).execute()
      await orm.transaction(async () => {
        await orm.insert(audit).values({ entry: 'by Drizzle' })
      })
    })
  })
}
