/**
 * Opens our views, each at most once, where the application has room for it.
 */
import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { COMMANDS } from './commandIds';
import {
  connectIcon,
  doctorIcon,
  environmentIcon,
  logIcon,
  takeAlongIcon
} from './icons';
import { retried } from './retry';
import type { IServices } from './services';
import { View } from './view';

type Panel = MainAreaWidget<View>;

// Each is loaded when it is first looked at: JupyterLab starts without them.
const Connect = React.lazy(async () => ({
  default: (await retried(() => import('./connect'))).Connect
}));
const Doctor = React.lazy(async () => ({
  default: (await retried(() => import('./doctor'))).Doctor
}));
const LaunchForm = React.lazy(async () => ({
  default: (await retried(() => import('./launchForm'))).LaunchForm
}));
const Logs = React.lazy(async () => ({
  default: (await retried(() => import('./logs'))).Logs
}));
const Progress = React.lazy(async () => ({
  default: (await retried(() => import('./progress'))).Progress
}));
const TakeAlong = React.lazy(async () => ({
  default: (await retried(() => import('./takeAlong'))).TakeAlong
}));

export class Views {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _services: IServices,
    restorer: ILayoutRestorer | null
  ) {
    for (const [namespace, command] of [
      ['form', COMMANDS.create],
      ['launch', COMMANDS.showLaunch],
      ['connect', COMMANDS.connect],
      ['logs', COMMANDS.logs],
      ['take', COMMANDS.takeAlong],
      ['doctor', COMMANDS.doctor]
    ] as const) {
      const tracker = new WidgetTracker<Panel>({
        namespace: `jupyter-dlenv-${namespace}`
      });
      this._trackers.set(namespace, tracker);
      void restorer?.restore(tracker, {
        command,
        args: panel => this._args.get(panel.id) ?? {},
        name: panel => panel.id
      });
    }
  }

  /**
   * @param directory - Of the server's files, where a project may be.
   * @param fromProject - Begin with what the project there says, whatever stood in the form.
   */
  form(image: string, directory: string, fromProject: boolean): Panel {
    const { trans, run } = this._services;
    if (fromProject) {
      this._trackers.get('form')?.forEach(open => open.dispose());
    }
    const panel: Panel = this._open(
      'form',
      'jupyter-dlenv-form',
      trans.__('New environment'),
      environmentIcon,
      view => (
        <LaunchForm
          view={view}
          initial={image ? { image } : {}}
          directory={directory}
          fromProject={fromProject}
          onLaunched={job => {
            this._here.add(job.id);
            // First: an area of Notebook 7 folds when what it shows is closed.
            panel.dispose();
            run(COMMANDS.showLaunch, { id: job.id, name: job.name });
          }}
        />
      ),
      {}
    );
    return panel;
  }

  launch(id: string, name: string): Panel {
    return this._open(
      'launch',
      `jupyter-dlenv-launch-${id}`,
      name || this._services.trans.__('Launch'),
      environmentIcon,
      view => <Progress view={view} id={id} />,
      { id, name }
    );
  }

  connect(name: string): Panel {
    return this._open(
      'connect',
      `jupyter-dlenv-connect-${name}`,
      name,
      connectIcon,
      view => <Connect view={view} name={name} />,
      { name }
    );
  }

  logs(name: string): Panel {
    return this._open(
      'logs',
      `jupyter-dlenv-logs-${name}`,
      name,
      logIcon,
      view => <Logs view={view} name={name} />,
      { name }
    );
  }

  takeAlong(name: string): Panel {
    return this._open(
      'take',
      `jupyter-dlenv-take-${name}`,
      name,
      takeAlongIcon,
      () => <TakeAlong name={name} />,
      { name }
    );
  }

  doctor(): Panel {
    return this._open(
      'doctor',
      'jupyter-dlenv-doctor',
      this._services.trans.__('Health'),
      doctorIcon,
      () => <Doctor />,
      {}
    );
  }

  /**
   * The view of a launch that somebody began here and still looks at, if there is one.
   */
  watched(id: string): Panel | null {
    const panel = this._trackers
      .get('launch')
      ?.find(open => open.id === `jupyter-dlenv-launch-${id}`);
    return panel?.isVisible && this._here.has(id) ? panel : null;
  }

  private _open(
    namespace: string,
    id: string,
    title: string,
    icon: LabIcon,
    content: (view: View) => JSX.Element,
    args: Readonly<Record<string, string>>
  ): Panel {
    const { shell } = this._app;
    const tracker = this._trackers.get(namespace);
    let panel = tracker?.find(open => open.id === id);
    if (!panel) {
      panel = new MainAreaWidget({
        content: new View(this._services, content)
      });
      panel.id = id;
      panel.title.label = title;
      panel.title.caption = title;
      panel.title.icon = icon;
      panel.title.closable = true;
      panel.addClass('jp-DLEnv-panel');
      panel.toolbar.hide();
      this._args.set(id, args);
      void tracker?.add(panel);
    }
    if (!panel.isAttached) {
      // Notebook 7 has one widget in its main area, and drops any other.
      const isLab = this._app.name === 'JupyterLab';
      shell.add(panel, isLab ? 'main' : 'right');
    }
    shell.activateById(id);
    return panel;
  }

  private readonly _trackers = new Map<string, WidgetTracker<Panel>>();
  private readonly _args = new Map<string, Readonly<Record<string, string>>>();
  private readonly _here = new Set<string>();
}
