'use strict';
// Sends requests from the documentation, and writes them as commands.
(() => {
	const header = document.getElementById('header'), credential = document.getElementById('credential-text');
	const quote = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

	// request returns the request that the form describes.
	function request(form) {
		let path = form.dataset.path;
		const query = new URLSearchParams(), headers = {};
		let body;
		form.querySelectorAll('[data-in]').forEach((field) => {
			const name = field.dataset.name, value = field.value;
			switch (field.dataset.in) {
			case 'path': path = path.replace('{' + name + '}', value ? encodeURIComponent(value) : '{' + name + '}'); break;
			case 'query': if (value) { query.set(name, value); } break;
			case 'header': if (value) { headers[name] = value; } break;
			case 'body': body = value; break;
			}
		});
		if (body !== undefined) {
			headers['Content-Type'] = 'application/json';
		}
		const search = query.size ? '?' + query : '';
		return { method: form.dataset.method, url: location.origin + path + search, headers, body };
	}

	// command returns the request as a command. The credential stays in a variable.
	function command(form) {
		const r = request(form), option = header.selectedOptions[0];
		const lines = ['curl' + (r.method === 'GET' ? '' : ' -X ' + r.method) + ' ' + quote(r.url)];
		lines.push('-H "' + option.value + ': ' + (option.dataset.prefix || '') + '$KEY"');
		Object.entries(r.headers).forEach(([name, value]) => lines.push('-H ' + quote(name + ': ' + value)));
		if (r.body !== undefined) {
			lines.push('--data ' + quote(r.body));
		}
		return lines.join(' \\\n  ');
	}

	async function send(form) {
		const r = request(form), option = header.selectedOptions[0], box = form.querySelector('.answer');
		const tag = box.querySelector('.tag'), text = box.querySelector('pre');
		if (credential.value) {
			r.headers[option.value] = (option.dataset.prefix || '') + credential.value;
		}
		try {
			const answer = await fetch(r.url, {
				method: r.method, headers: r.headers, body: r.body, credentials: 'omit', cache: 'no-store', redirect: 'error',
			});
			tag.textContent = answer.status + ' ' + answer.statusText;
			tag.classList.toggle('bad', !answer.ok);
			const body = await answer.text();
			try {
				text.textContent = JSON.stringify(JSON.parse(body), null, 2);
			} catch {
				text.textContent = body;
			}
		} catch (error) {
			tag.textContent = 'Not sent';
			tag.classList.add('bad');
			text.textContent = String(error.message);
		}
		box.hidden = false;
	}

	document.querySelectorAll('form[data-try]').forEach((form) => {
		const pre = form.querySelector('.curl'), copy = form.querySelector('[data-copy-curl]');
		const show = () => { pre.textContent = command(form); };
		form.closest('details').addEventListener('toggle', show);
		form.addEventListener('input', show);
		header.addEventListener('change', show);
		form.addEventListener('submit', (event) => {
			event.preventDefault();
			send(form);
		});
		copy.addEventListener('click', async () => {
			await navigator.clipboard.writeText(pre.textContent);
			copy.textContent = 'Copied';
			setTimeout(() => { copy.textContent = 'Copy the command'; }, 2000);
		});
	});
	window.addEventListener('pagehide', () => { credential.value = ''; });
})();
