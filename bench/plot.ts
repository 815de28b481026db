import * as echarts from 'echarts'
import { LINKS } from './proxy/link.ts'
import type { CellResult, Results } from './results.ts'

/** The scenarios of the plot, with their labels. */
const DRAWN: Readonly<Record<string, string>> = {
  'point-query': 'point query',
  'large-read': '1,000 rows',
  'two-inserts': 'two inserts',
  savepoint: 'with a savepoint',
  'five-levels': 'five levels',
  'inserts-together': 'Promise.all of ten',
  batch: 'batch of ten',
  'mixed-request': 'mixed request',
}
const COLOURS = ['#9bb8d3', '#5b8db8', '#2f6690', '#16425b']

/** Plots the time of each scenario on the bridge as a ratio to the time without it. */
export function plot({ cells, environment }: Results): string {
  const drawn = Object.keys(DRAWN).filter((name) => cells.some(({ scenario }) => scenario === name))
  const links = LINKS.filter((name) => cells.some(({ link }) => link === name))
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 480 })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS.slice(-links.length),
    title: {
      text: 'Time with the bridge, as a ratio to the time without it',
      subtext: `Medians. Drizzle ${environment.drizzle}, Kysely ${environment.kysely}, PostgreSQL ${environment.postgres}, Node ${environment.node}. By round trip to the server; lower is better.`,
      left: 'center',
    },
    legend: { bottom: 0 },
    grid: { top: 80, bottom: 70, left: 50, right: 20 },
    xAxis: {
      type: 'category',
      data: drawn.map((name) => DRAWN[name] ?? name),
      axisLabel: { interval: 0 },
    },
    yAxis: { type: 'value', min: 0 },
    series: links.map((link, at) => ({
      name: link,
      type: 'bar',
      data: drawn.map((scenario) => {
        const cell = cells.find((each) => each.scenario === scenario && each.link === link)
        return cell === undefined ? null : headline(cell)
      }),
      ...(at === 0 && {
        markLine: {
          silent: true,
          symbol: 'none',
          label: { formatter: 'without' },
          lineStyle: { color: '#888888' },
          data: [{ yAxis: 1 }],
        },
      }),
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/** The ratio to the stock layer; that of Drizzle if several layers are compared. */
function headline({ comparisons }: CellResult): number | null {
  const best = comparisons.find(({ of }) => of.includes('drizzle 0.45')) ?? comparisons[0]
  return best === undefined ? null : Math.round(best.wall.median * 100) / 100
}
