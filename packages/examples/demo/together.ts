import { chapter, claim, logged, say } from './stage.ts'
import { type Shop, signUp } from './shop.ts'

export async function together({ orm, db, observer }: Shop): Promise<void> {
  chapter('The same program, on one connection')
  say('Not a line of it is changed. There is one log now, and it knows every statement:')
  say()

  const events = await logged(() => signUp(orm, db, 'ada@example.com'))

  const [same] = await observer.column(
    'select accounts.xmin = profiles.xmin from accounts join profiles on account_id = accounts.id',
  )
  const trips = events.filter(({ piggybacked }) => !piggybacked).length
  say()
  claim('The account is there, and so is its profile', same !== undefined)
  claim('PostgreSQL says that one transaction has written both', same === true)
  claim(
    `${events.length} statements took ${trips} round trips: BEGIN rides with the first one`,
    trips < events.length && events.some((e) => e.control === 'begin' && e.piggybacked),
  )
}
