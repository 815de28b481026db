import { once } from 'node:events'
import { Client, type DatabaseError } from 'pg'

/** The part of pg's protocol connection that emits the server's answers. */
interface ProtocolConnection extends NodeJS.EventEmitter {
  on(name: 'commandComplete', listener: (message: { text: string }) => void): this
}

/** The states of a session: idle, in a transaction, or in a failed transaction. */
export type Status = 'I' | 'T' | 'E'

/** The server's answer to a text, without layers and without the bridge. */
export interface Answer {
  readonly before: Status
  readonly after: Status
  /** The command tags without their counts, in order. */
  readonly tags: readonly string[]
  /** SQLSTATE and message of the error. */
  readonly error: DatabaseError | undefined
}

/** The ways to send a text. The extended protocol refuses several commands. */
export type Protocol = 'simple' | 'extended'

/** The states from which a text is tried, and the statements that lead there. */
export const places = {
  idle: '',
  'in a transaction': 'begin',
  'in a savepoint': 'begin; savepoint sp1',
  'in a savepoint that has failed': 'begin; savepoint sp1; select 1/0',
} as const

export type Place = keyof typeof places

/** A session of plain pg. */
export class Server {
  readonly #client: Client
  readonly #connection: ProtocolConnection
  #status: Status = 'I'
  #tags: string[] = []

  private constructor(client: Client) {
    this.#client = client
    this.#connection = (client as unknown as { connection: ProtocolConnection }).connection
    this.#connection.on('commandComplete', ({ text }) => this.#tags.push(tagOf(text)))
  }

  static async connect(url: string): Promise<Server> {
    const client = new Client({ connectionString: url })
    await client.connect()
    // A prepared transaction holds its locks.
    await client.query('set lock_timeout = 10')
    return new Server(client)
  }

  async ask(text: string, protocol: Protocol = 'simple'): Promise<Answer> {
    const before = this.#status
    this.#tags = []
    // A failed query rejects before ReadyForQuery has arrived.
    const ready = once(this.#connection, 'readyForQuery') as Promise<[{ status: Status }]>
    const asked = this.#client
      // The types of pg do not declare `queryMode`.
      .query({ text, queryMode: protocol } as { text: string })
      .then(() => undefined)
      .catch((error: DatabaseError) => error)
    const [[{ status }], error] = await Promise.all([ready, asked])
    this.#status = status
    return { before, after: status, tags: this.#tags, error }
  }

  /** Brings the session into a state. */
  async goTo(place: Place): Promise<void> {
    const hasPrepared = this.#tags.includes('PREPARE TRANSACTION')
    if (this.#status !== 'I') await this.ask('rollback')
    if (hasPrepared) await this.#rollBackPrepared()
    if (places[place] !== '') await this.ask(places[place])
  }

  async #rollBackPrepared(): Promise<void> {
    const { rows } = await this.#client.query<{ text: string }>(
      `select format('rollback prepared %L', gid) as text
       from pg_prepared_xacts where database = current_database()`,
    )
    for (const { text } of rows) await this.ask(text)
  }

  /** The modes of the open transaction. */
  async modes(): Promise<object> {
    const setting = (of: string): string => `current_setting('transaction_${of}')`
    const { rows } = await this.#client.query<object>(
      `select ${setting('isolation')} as "isolationLevel",
        case ${setting('read_only')} when 'on' then 'read only' else 'read write' end as "accessMode",
        ${setting('deferrable')} = 'on' as deferrable`,
    )
    return rows[0] ?? {}
  }

  end(): Promise<void> {
    return this.#client.end()
  }
}

/** The tag without its counts: `INSERT` for `INSERT 0 1`. */
function tagOf(text: string): string {
  return text.replace(/[\s\d]+$/, '')
}
