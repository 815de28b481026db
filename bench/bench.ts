// Measures the costs and savings of the bridge as ratios within one run: pnpm bench --help

import { writeFile } from 'node:fs/promises'
import { freshDatabase, startPostgres } from '@shared-connection/test/postgres'
import { Client } from 'pg'
import { against } from './against.ts'
import { loadBridge } from './bridge-at.ts'
import { Cores } from './cores.ts'
import { environment } from './environment.ts'
import { createSchema } from './layers/schema.ts'
import { measure } from './measure.ts'
import { options, type Options, USAGE } from './options.ts'
import { plot } from './plot.ts'
import type { ProbeResult } from './probe.ts'
import { DelayProxy } from './proxy/delay-proxy.ts'
import { openLink } from './proxy/link.ts'
import type { CellResult, Results } from './results.ts'
import { probes, scenarios } from './scenarios/index.ts'
import { protocol, scenarioOf } from './scenarios/protocol.ts'
import { printCell, printGoals, printHead, printProbe, printSkipped } from './table.ts'

const asked = options()
if (asked === undefined) process.stdout.write(USAGE)
else await bench(asked)

async function bench(chosen: Options): Promise<void> {
  const server = await startPostgres()
  const database = await freshDatabase(server.url)
  const observer = new Client({ connectionString: database.url })
  try {
    await observer.connect()
    await createSchema(observer)
    const results = await run(database.url, observer, chosen)
    printGoals(results)
    const svg = plot(results)
    if (chosen.isWhole) await save(results, svg)
  } finally {
    await observer.end()
    await database.drop()
    await server.stop()
  }
}

async function run(url: string, observer: Client, chosen: Options): Promise<Results> {
  const { only, pace } = chosen
  const isChosen = ({ name }: { readonly name: string }): boolean =>
    only.length === 0 || only.some((each) => name.startsWith(each))
  const all = chosen.against === undefined ? scenarios : scenarios.map(against)
  const chosenScenarios = all.filter(isChosen)
  const chosenProbes = probes.filter(isChosen)
  if (chosenScenarios.length + chosenProbes.length === 0) {
    const names = [...scenarios, ...probes].map(({ name }) => name)
    throw new Error(`--only ${only.join()}: the names are ${names.join(', ')}`)
  }

  const counter = await DelayProxy.start(url)
  const links = []
  const linkNames = chosenScenarios.length === 0 ? [] : chosen.links
  for (const name of linkNames) links.push(await openLink(url, name))
  const about = await environment(observer)
  const cores = await Cores.find(observer)
  printHead(about, links, cores.areKnown)

  const shareBefore = chosen.against === undefined ? undefined : await loadBridge(chosen.against)
  const protocolLimits = new Map<string, number>()
  const place = { links, counter, observer, cores, pace, shareBefore, protocolLimits }

  const cells: CellResult[] = []
  const readings: ProbeResult[] = []
  const skipped: { scenario: string; reason: string }[] = []
  try {
    for (const scenario of chosenScenarios) {
      for await (const cell of measure(scenario, place)) {
        if ('skipped' in cell) {
          printSkipped(scenario.title, cell.skipped)
          skipped.push({ scenario: scenario.name, reason: cell.skipped })
        } else {
          printCell(cell)
          cells.push(cell)
          if (scenario.name === protocol.name) noteLimits(cell, protocolLimits)
        }
      }
    }
    for (const one of chosenProbes) {
      const read = await one.read({ ...chosen, url, observer })
      const probe = { probe: one.name, title: one.title, readings: read }
      printProbe(probe)
      readings.push(probe)
    }
  } finally {
    await counter.stop()
    for (const link of links) await link.close()
  }
  return {
    environment: about,
    links: links.map(({ name, added }) => ({ name, addedRoundTrip: added })),
    cells,
    probes: readings,
    skipped,
  }
}

function noteLimits({ comparisons }: CellResult, limits: Map<string, number>): void {
  for (const { of, wall } of comparisons) limits.set(scenarioOf(of), wall.median)
}

async function save(results: Results, svg: string): Promise<void> {
  const json = `${JSON.stringify(results, rounded, 2)}\n`
  await writeFile(new URL('results.json', import.meta.url), json)
  await writeFile(new URL('plot.svg', import.meta.url), svg)
}

/** More digits would be noise. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}
