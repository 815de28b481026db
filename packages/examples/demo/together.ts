import { chapter, claim, logged, say } from './stage.ts'
import { type Shop, signUp } from './shop.ts'

export async function together({ orm, db, observer }: Shop): Promise<void> {
  chapter('The same program, on one connection')
  say('No line of it has changed. There is one log now, with every statement:')
  say()

  const events = await logged(() => signUp(orm, db, 'ada@example.com'))

  const [same] = await observer.column(
    'select accounts.xmin = profiles.xmin from accounts join profiles on account_id = accounts.id',
  )
  const trips = events.filter(({ piggybacked }) => !piggybacked).length
  say()
  claim('The account is there, and so is its profile', same !== undefined)
  claim('One transaction has written both, says PostgreSQL', same === true)
  claim(
    `${events.length} statements took ${trips} round trips: BEGIN was sent with the first one`,
    trips < events.length && events.some((e) => e.control === 'begin' && e.piggybacked),
  )
}
